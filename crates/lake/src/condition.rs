//! The conditions of a query that a reader of files can tell by itself, so that of other records no more is read.

use crate::encode::ACTIONS;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use netwhy_flows::read::Records;
use netwhy_flows::{Action, Address};

/// Whether a reader can tell a condition.
pub fn is_told(condition: &Expr) -> bool {
    add(&mut Records::default(), condition)
}

/// The records that all conditions leave, as far as a reader can tell.
pub fn records(conditions: &[Expr]) -> Records {
    let mut records = Records::default();
    for condition in conditions {
        add(&mut records, condition);
    }
    records
}

/// Adds a condition to what the records must have; false where a reader cannot tell it.
///
/// Of two values for one column the first is kept: the query itself finds that no record has both.
fn add(records: &mut Records, condition: &Expr) -> bool {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else { return false };
    let Some((column, value)) = pair(left, right).or_else(|| pair(right, left)) else { return false };
    fn put<T>(place: &mut Option<T>, value: Option<T>) -> bool {
        let is_told = value.is_some();
        *place = place.take().or(value);
        is_told
    }
    match column {
        "action" => put(&mut records.action, action(value)),
        "protocol" => put(&mut records.protocol, number(value)),
        "sport" => put(&mut records.source_port, number(value)),
        "dport" => put(&mut records.destination_port, number(value)),
        "src" => put(&mut records.source, address(value)),
        "dst" => put(&mut records.destination, address(value)),
        _ => false,
    }
}

/// A column and the value it is compared with.
fn pair<'a>(column: &'a Expr, value: &'a Expr) -> Option<(&'a str, &'a ScalarValue)> {
    let column = if let Expr::Cast(cast) = column { &cast.expr } else { column };
    match (column, value) {
        (Expr::Column(column), Expr::Literal(value, _)) => Some((column.name(), value)),
        _ => None,
    }
}

/// A whole number that the column can hold. Words and truths are none: compared with a cast column they mean more.
fn number<T: TryFrom<i128>>(value: &ScalarValue) -> Option<T> {
    let number: i128 = match value {
        ScalarValue::UInt8(number) => (*number)?.into(),
        ScalarValue::UInt16(number) => (*number)?.into(),
        ScalarValue::UInt32(number) => (*number)?.into(),
        ScalarValue::UInt64(number) => (*number)?.into(),
        ScalarValue::Int8(number) => (*number)?.into(),
        ScalarValue::Int16(number) => (*number)?.into(),
        ScalarValue::Int32(number) => (*number)?.into(),
        ScalarValue::Int64(number) => (*number)?.into(),
        _ => return None,
    };
    number.try_into().ok()
}

/// What a source did not tell is null in the table, and equals nothing.
fn action(value: &ScalarValue) -> Option<Action> {
    let value = if let ScalarValue::Dictionary(_, value) = value { value } else { value };
    let word = value.try_as_str().flatten()?;
    [Action::Accept, Action::Reject].into_iter().find(|action| ACTIONS[*action as usize] == word)
}

fn address(value: &ScalarValue) -> Option<Address> {
    match value {
        ScalarValue::UInt32(Some(number)) => Some(Address::v4(*number)),
        ScalarValue::FixedSizeBinary(16, Some(bytes)) => {
            Some(Address(u128::from_be_bytes(bytes.as_slice().try_into().ok()?)))
        }
        _ => None,
    }
    .filter(|address| !address.is_unknown())
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::prelude::{col, lit};

    #[test]
    fn what_a_reader_can_tell_is_taken_from_the_conditions() {
        let conditions = [
            col("action").eq(lit("reject")),
            lit(443u16).eq(col("dport")),
            col("dport").eq(lit(80i64)),
            col("src").eq(lit(0x0a00_0001u32)),
            col("packets").eq(lit(3u64)),
            col("protocol").gt(lit(6u8)),
            col("sport").eq(lit(70_000i64)),
        ];
        let right = Records {
            action: Some(Action::Reject),
            destination_port: Some(443),
            source: Some(Address::v4(0x0a00_0001)),
            ..Records::default()
        };
        assert_eq!(records(&conditions), right);
        let told: Vec<bool> = conditions.iter().map(is_told).collect();
        assert_eq!(told, [true, true, true, true, false, false, false]);
        assert!(!is_told(&col("action").eq(lit("allow"))));
    }
}
