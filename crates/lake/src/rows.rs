//! An answer as plain values, so that whoever shows it needs no Arrow.

use crate::schema::is_address;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, TimeUnit, UInt64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::array_value_to_string;
use netwhy_flows::{Address, UnreadCount};
use netwhy_model::Text;

/// What a column of an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    Address,
    Time,
    Number,
    Word,
    Truth,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub name: String,
    pub kind: ColumnKind,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Not told.
    Null,
    Address(Address),
    /// Milliseconds since 1970, UTC.
    Time(i64),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Word(String),
    Truth(bool),
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Cell>>,
    /// What of the asked files was not understood; nothing where a lake was asked.
    pub unread: UnreadCount,
    /// Files that ended early, and where; the rows are of what came before. Of a lake: files that were left out.
    pub torn: Vec<Torn>,
}

/// A file that was not read to its end, or not at all, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Torn {
    pub file: String,
    pub why: Text,
}

impl Rows {
    /// An answer without rows yet; `schema` says which numbers are addresses.
    pub fn new(schema: &Schema) -> Rows {
        let column = |field: &Field| Column { name: field.name().clone(), kind: kind(field) };
        let columns = schema.fields().iter().map(|field| column(field)).collect();
        Rows { columns, ..Rows::default() }
    }

    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let columns =
            batch.columns().iter().zip(&self.columns).map(|(array, column)| cells(array, column.kind));
        let mut columns: Vec<_> =
            columns.collect::<Result<Vec<_>, _>>()?.into_iter().map(Vec::into_iter).collect();
        for _ in 0..batch.num_rows() {
            self.rows.push(columns.iter_mut().map(|cells| cells.next().unwrap_or(Cell::Null)).collect());
        }
        Ok(())
    }
}

fn kind(field: &Field) -> ColumnKind {
    match field.data_type() {
        DataType::UInt32 | DataType::FixedSizeBinary(16) if is_address(field) => ColumnKind::Address,
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => ColumnKind::Time,
        DataType::Boolean => ColumnKind::Truth,
        data_type if data_type.is_numeric() => ColumnKind::Number,
        _ => ColumnKind::Word,
    }
}

fn cells(array: &ArrayRef, kind: ColumnKind) -> Result<Vec<Cell>, ArrowError> {
    let told =
        |row: usize, cell: &dyn Fn(usize) -> Cell| if array.is_valid(row) { cell(row) } else { Cell::Null };
    let all = |cell: &dyn Fn(usize) -> Cell| (0..array.len()).map(|row| told(row, cell)).collect();
    Ok(match (kind, array.data_type()) {
        (ColumnKind::Address, DataType::UInt32) => {
            let numbers = array.as_primitive::<datafusion::arrow::datatypes::UInt32Type>();
            all(&|row| Cell::Address(Address::v4(numbers.value(row))))
        }
        (ColumnKind::Address, DataType::FixedSizeBinary(16)) => {
            let bytes = array.as_fixed_size_binary();
            all(&|row| match bytes.value(row).try_into() {
                Ok(bytes) => Cell::Address(Address(u128::from_be_bytes(bytes))),
                Err(_) => Cell::Null,
            })
        }
        (ColumnKind::Time, data_type) => {
            let zone = if let DataType::Timestamp(_, zone) = data_type { zone.clone() } else { None };
            let times =
                cast(&cast(array, &DataType::Timestamp(TimeUnit::Millisecond, zone))?, &DataType::Int64)?;
            let times = times.as_primitive::<Int64Type>();
            all(&|row| Cell::Time(times.value(row)))
        }
        (ColumnKind::Truth, DataType::Boolean) => {
            let truths = array.as_boolean();
            all(&|row| Cell::Truth(truths.value(row)))
        }
        (_, data_type) if data_type.is_unsigned_integer() => {
            let numbers = cast(array, &DataType::UInt64)?;
            let numbers = numbers.as_primitive::<UInt64Type>();
            all(&|row| Cell::Unsigned(numbers.value(row)))
        }
        (_, data_type) if data_type.is_signed_integer() => {
            let numbers = cast(array, &DataType::Int64)?;
            let numbers = numbers.as_primitive::<Int64Type>();
            all(&|row| Cell::Signed(numbers.value(row)))
        }
        (ColumnKind::Number, _) => {
            let numbers = cast(array, &DataType::Float64)?;
            let numbers = numbers.as_primitive::<Float64Type>();
            all(&|row| Cell::Float(numbers.value(row)))
        }
        _ => {
            let words = (0..array.len()).map(|row| array_value_to_string(array, row));
            let words = words.collect::<Result<Vec<_>, _>>()?;
            all(&|row| Cell::Word(words[row].clone()))
        }
    })
}
