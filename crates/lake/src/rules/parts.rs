//! Aggregates in two steps: part by part first, the parts afterwards.

use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::{Aggregate, Expr, col};

/// An aggregate of parts under the name `alias`, and the aggregate of those; `None` where it has no such steps.
pub fn split(aggregate: &Expr, alias: &str) -> Option<(Expr, Expr)> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = unaliased(aggregate) else {
        return None;
    };
    if params.distinct || !is_plain(params) {
        return None;
    }
    let outer = match func.name() {
        "count" => sum_udaf(),
        "sum" | "min" | "max" => func.clone(),
        _ => return None,
    };
    let outer = AggregateFunction::new_udf(outer, vec![col(alias)], false, None, Vec::new(), None);
    Some((unaliased(aggregate).clone().alias(alias), Expr::AggregateFunction(outer)))
}

/// Neither filter nor order.
pub fn is_plain(params: &AggregateFunctionParams) -> bool {
    params.filter.is_none() && params.order_by.is_empty() && params.null_treatment.is_none()
}

pub fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

/// Groups of plain expressions, at least one: without groups a sum of no parts is null where a count is 0.
pub fn has_plain_groups(aggregate: &Aggregate) -> bool {
    !aggregate.group_expr.is_empty()
        && !aggregate.group_expr.iter().any(|group| matches!(group, Expr::GroupingSet(_)))
}
