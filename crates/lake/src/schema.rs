//! The Arrow and Parquet shape of a record: `netwhy_flows::schema` with a physical type for every column.
//!
//! An IPv4 address is its 32-bit number, which groups, joins and prunes several times faster than text. An IPv6 address
//! stands in a second column of 16 bytes (`src6`, `dst6`), where the first is null. The field's metadata says that the
//! number is an address, so SQL may compare it with text (`src = '10.0.1.27'`) and results show it as text.

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use netwhy_flows::schema::{self, Kind};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// The key of Parquet's metadata under which the version of the columns stands.
pub const VERSION_KEY: &str = "netwhy.flows.version";
/// The key of a field's metadata that says what its values are.
pub const FORMAT_KEY: &str = "netwhy.kind";
/// The value of `FORMAT_KEY` for addresses.
pub const ADDRESS: &str = "address";

/// The columns as they are stored.
pub static STORED: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut fields = Vec::new();
    for column in schema::columns() {
        fields.push(field(column.name, column.kind, &column.about.en));
        if column.kind == Kind::Address {
            fields.push(address_field(
                &format!("{}6", column.name),
                DataType::FixedSizeBinary(16),
                "the same, IPv6",
            ));
        }
    }
    let metadata = HashMap::from([(VERSION_KEY.to_owned(), schema::VERSION.to_string())]);
    Arc::new(Schema::new_with_metadata(fields, metadata))
});

/// The columns as a question sees them: addresses are one column, of 16 bytes where some are IPv6.
pub fn asked(wide: bool) -> SchemaRef {
    let twin = |field: &Field| field.name().ends_with('6') && is_address(field);
    let fields = STORED.fields().iter().filter(|field| !twin(field)).map(|field| {
        let data_type =
            if wide && is_address(field) { DataType::FixedSizeBinary(16) } else { field.data_type().clone() };
        field.as_ref().clone().with_data_type(data_type)
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), STORED.metadata().clone()))
}

/// The type of a word: the Parquet dictionary is kept as it is read.
pub fn word() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The type of a time.
pub fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

/// Whether a field holds addresses.
pub fn is_address(field: &Field) -> bool {
    field.metadata().get(FORMAT_KEY).is_some_and(|kind| kind == ADDRESS)
}

fn field(name: &str, kind: Kind, about: &str) -> Field {
    let (data_type, nullable) = match kind {
        Kind::Time => (time(), false),
        Kind::Address => return address_field(name, DataType::UInt32, about),
        Kind::U8 => (DataType::UInt8, false),
        Kind::U16 => (DataType::UInt16, false),
        Kind::U64 => (DataType::UInt64, false),
        Kind::Word => (word(), true),
    };
    let metadata = HashMap::from([("about".to_owned(), about.to_owned())]);
    Field::new(name, data_type, nullable).with_metadata(metadata)
}

fn address_field(name: &str, data_type: DataType, about: &str) -> Field {
    let metadata =
        HashMap::from([("about".to_owned(), about.to_owned()), (FORMAT_KEY.to_owned(), ADDRESS.to_owned())]);
    Field::new(name, data_type, true).with_metadata(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_of_the_record_is_stored_under_its_name() {
        for column in schema::columns() {
            let field = STORED.field_with_name(column.name).unwrap();
            assert_eq!(is_address(field), column.kind == Kind::Address, "{}", column.name);
        }
        assert_eq!(STORED.metadata()[VERSION_KEY], schema::VERSION.to_string());
    }
}
