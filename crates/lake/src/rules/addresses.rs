//! `src = '10.0.1.27'`, `src = '10.0.0.0/8'`, `src IN (…)`, `BETWEEN`, `in_subnet(…)` and `ip(…)` as comparisons of numbers.
//!
//! Runs before types are coerced: a number compared with text would be compared as text.

use crate::functions::subnet;
use crate::schema::is_address;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, lit};
use datafusion::optimizer::AnalyzerRule;
use netwhy_flows::Address;

const COMPARISONS: [Operator; 8] = [
    Operator::Eq,
    Operator::NotEq,
    Operator::Lt,
    Operator::LtEq,
    Operator::Gt,
    Operator::GtEq,
    Operator::IsDistinctFrom,
    Operator::IsNotDistinctFrom,
];

#[derive(Debug)]
pub struct Addresses;

impl AnalyzerRule for Addresses {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|plan| {
            let schema = merge_schema(&plan.inputs());
            // A table's own filters see the table itself.
            let schema = if let LogicalPlan::TableScan(scan) = &plan {
                scan.projected_schema.as_ref().clone()
            } else {
                schema
            };
            let changed = plan.map_expressions(|expr| expr.transform_up(|expr| rewrite(expr, &schema)))?;
            if changed.transformed { changed.map_data(|plan| plan.recompute_schema()) } else { Ok(changed) }
        })?;
        Ok(rewritten.data)
    }

    fn name(&self) -> &str {
        "addresses"
    }
}

fn rewrite(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::ScalarFunction(call) => function(call, schema),
        Expr::BinaryExpr(binary) => comparison(binary, schema),
        Expr::InList(list) => in_list(list, schema),
        Expr::Between(between) => between_text(between, schema),
        other => Ok(Transformed::no(other)),
    }
}

fn function(call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let texts: Vec<_> = call.args.iter().map(text).collect();
    match (call.name(), call.args.as_slice(), texts.as_slice()) {
        ("ip", [_], [Some(address)]) => match subnet(address).filter(|(first, last)| first == last) {
            Some((address, _)) => Ok(Transformed::yes(number(address))),
            None => plan_err!("ip('{address}') is no address"),
        },
        ("in_subnet", [column, _], [_, Some(text)]) => match address_type(column, schema) {
            Some(data_type) => inside(column, &data_type, text),
            None => Ok(Transformed::no(Expr::ScalarFunction(call))),
        },
        _ => Ok(Transformed::no(Expr::ScalarFunction(call))),
    }
}

/// An address without a column beside it: its number, or its 16 bytes.
fn number(address: Address) -> Expr {
    let wide = || ScalarValue::FixedSizeBinary(16, Some(address.0.to_be_bytes().to_vec()));
    lit(address.as_v4().map_or_else(wide, |number| ScalarValue::UInt32(Some(number))))
}

fn comparison(binary: BinaryExpr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let BinaryExpr { left, op, right } = binary;
    let unchanged = |left, right| Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })));
    if !COMPARISONS.contains(&op) {
        return unchanged(left, right);
    }
    let (column, other, op) = match (address_type(&left, schema), address_type(&right, schema)) {
        (Some(_), None) => (&left, &right, op),
        (None, Some(_)) => (&right, &left, op.swap().unwrap_or(op)),
        _ => return unchanged(left, right),
    };
    let (Some(data_type), Some(text)) = (address_type(column, schema), text(other)) else {
        return unchanged(left, right);
    };
    let Some((first, last)) = subnet(&text) else {
        return plan_err!("'{text}' is compared with an address and is none");
    };
    if first != last {
        let inside = inside(column, &data_type, &text)?.data;
        return match op {
            Operator::Eq => Ok(Transformed::yes(inside)),
            Operator::NotEq => Ok(Transformed::yes(Expr::Not(Box::new(inside)))),
            _ => plan_err!(
                "'{text}' is a subnet: an address is in it (=) or not (<>), not before or behind it"
            ),
        };
    }
    let compared = match (literal(first, &data_type), op) {
        (Some(value), _) => {
            Expr::BinaryExpr(BinaryExpr { left: column.clone(), op, right: Box::new(lit(value)) })
        }
        // An IPv6 address, and no record has one.
        (None, Operator::NotEq | Operator::IsDistinctFrom) => column.as_ref().clone().is_not_null(),
        (None, Operator::Lt | Operator::LtEq) => column.as_ref().clone().is_not_null(),
        (None, _) => lit(false),
    };
    Ok(Transformed::yes(compared))
}

fn in_list(list: InList, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let texts: Option<Vec<String>> = list.list.iter().map(text).collect();
    let (Some(data_type), Some(texts)) = (address_type(&list.expr, schema), texts) else {
        return Ok(Transformed::no(Expr::InList(list)));
    };
    let mut any: Option<Expr> = None;
    let mut values = Vec::new();
    for text in texts {
        let Some((first, last)) = subnet(&text) else { return plan_err!("'{text}' is no address") };
        if first == last {
            values.extend(literal(first, &data_type).map(lit));
        } else {
            let inside = inside(&list.expr, &data_type, &text)?.data;
            any = Some(any.map_or(inside.clone(), |any| any.or(inside)));
        }
    }
    let listed =
        if values.is_empty() { lit(false) } else { list.expr.as_ref().clone().in_list(values, false) };
    let all = any.map_or(listed.clone(), |any| any.or(listed));
    Ok(Transformed::yes(if list.negated { Expr::Not(Box::new(all)) } else { all }))
}

fn between_text(between: Between, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (low, high) = (text(&between.low), text(&between.high));
    let (Some(data_type), Some(low), Some(high)) = (address_type(&between.expr, schema), low, high) else {
        return Ok(Transformed::no(Expr::Between(between)));
    };
    let bound = |text: &str| subnet(text).filter(|(first, last)| first == last);
    let (Some((low, _)), Some((high, _))) = (bound(&low), bound(&high)) else {
        return plan_err!("'{low}' and '{high}' are not both addresses");
    };
    let range = range(&between.expr, &data_type, low, high);
    Ok(Transformed::yes(if between.negated { Expr::Not(Box::new(range)) } else { range }))
}

fn inside(column: &Expr, data_type: &DataType, text: &str) -> Result<Transformed<Expr>> {
    let Some((first, last)) = subnet(text) else { return plan_err!("'{text}' is no subnet") };
    Ok(Transformed::yes(range(column, data_type, first, last)))
}

/// From `first` to `last`, both included.
fn range(column: &Expr, data_type: &DataType, first: Address, last: Address) -> Expr {
    match (literal(first, data_type), literal(last, data_type)) {
        (Some(first), Some(last)) => column.clone().gt_eq(lit(first)).and(column.clone().lt_eq(lit(last))),
        // `::/0` holds every address; any other IPv6 subnet none of the numbers.
        _ if first.0 == 0 && last.0 == u128::MAX => column.clone().is_not_null(),
        _ => lit(false),
    }
}

/// The address as a value of the column's type.
fn literal(address: Address, data_type: &DataType) -> Option<ScalarValue> {
    match data_type {
        DataType::UInt32 => address.as_v4().map(|number| ScalarValue::UInt32(Some(number))),
        _ => Some(ScalarValue::FixedSizeBinary(16, Some(address.0.to_be_bytes().to_vec()))),
    }
}

/// The type of an expression that is an address and no constant.
fn address_type(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    if matches!(expr, Expr::Literal(..)) {
        return None;
    }
    let (_, field) = expr.to_field(schema).ok()?;
    is_address(&field).then(|| field.data_type().clone())
}

/// The address or text that a constant says.
fn text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(ScalarValue::UInt32(Some(number)), _) => Some(Address::v4(*number).to_string()),
        Expr::Literal(ScalarValue::FixedSizeBinary(16, Some(bytes)), _) => {
            let bytes: [u8; 16] = bytes.as_slice().try_into().ok()?;
            Some(Address(u128::from_be_bytes(bytes)).to_string())
        }
        Expr::Literal(value, _) => value.try_as_str().flatten().map(str::to_owned),
        _ => None,
    }
}
