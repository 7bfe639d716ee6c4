//! A join of flows with a small table, then grouped: flows are summed by the join's keys first, then joined.
//!
//! Twenty million records become as many rows as there are interfaces before the join sees them.

use super::parts::{has_plain_groups, split};
use crate::schema::word;
use crate::session::TABLE;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::builder::project;
use datafusion::logical_expr::{Aggregate, Expr, Join, JoinType, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use std::collections::HashSet;
use std::sync::Arc;

#[derive(Debug)]
pub struct EarlySum;

impl OptimizerRule for EarlySum {
    fn name(&self) -> &str {
        "sum_flows_before_joining"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match &plan {
            LogicalPlan::Aggregate(aggregate) if has_plain_groups(aggregate) => match early(aggregate)? {
                Some(better) => Ok(Transformed::yes(better)),
                None => Ok(Transformed::no(plan)),
            },
            _ => Ok(Transformed::no(plan)),
        }
    }
}

fn early(aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    let Some(join) = join_below(&aggregate.input) else { return Ok(None) };
    if join.join_type != JoinType::Inner || join.filter.is_some() || join.on.is_empty() {
        return Ok(None);
    }
    let left_is_flows = match (is_flows(&join.left)?, is_flows(&join.right)?) {
        (true, false) => true,
        (false, true) => false,
        _ => return Ok(None),
    };
    let flows = if left_is_flows { &join.left } else { &join.right };
    let Some(groups) = groups(aggregate, join, flows, left_is_flows) else { return Ok(None) };
    let (mut inner, mut outer) = (Vec::new(), Vec::new());
    for (place, expr) in aggregate.aggr_expr.iter().enumerate() {
        let of_flows = expr.column_refs().iter().all(|column| flows.schema().has_column(column));
        let Some((part, whole)) = split(expr, &format!("early_{place}")).filter(|_| of_flows) else {
            return Ok(None);
        };
        inner.push(part);
        outer.push(whole);
    }
    let summed = Arc::new(LogicalPlan::Aggregate(Aggregate::try_new(flows.clone(), groups, inner)?));
    let (left, right) =
        if left_is_flows { (summed, join.right.clone()) } else { (join.left.clone(), summed) };
    let joined = Join::try_new(
        left,
        right,
        join.on.clone(),
        None,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    let joined = Arc::new(LogicalPlan::Join(joined));
    let group_count = aggregate.group_expr.len();
    let by_groups = Aggregate::try_new(joined, aggregate.group_expr.clone(), outer.clone())?;
    let totals = outer.into_iter().enumerate().map(|(place, expr)| {
        let (qualifier, field) = aggregate.schema.qualified_field(group_count + place);
        expr.alias_qualified(qualifier.cloned(), field.name())
    });
    let named: Vec<_> = aggregate.group_expr.iter().cloned().chain(totals).collect();
    Ok(Some(project(LogicalPlan::Aggregate(by_groups), named)?))
}

/// The join whose rows are grouped, seen through a choice of columns.
fn join_below(input: &LogicalPlan) -> Option<&Join> {
    match input {
        LogicalPlan::Join(join) => Some(join),
        LogicalPlan::Projection(chosen) if chosen.expr.iter().all(|expr| matches!(expr, Expr::Column(_))) => {
            join_below(&chosen.input)
        }
        _ => None,
    }
}

/// Whether a side reads flows that nobody has summed yet.
fn is_flows(plan: &LogicalPlan) -> Result<bool> {
    let (mut found, mut summed) = (false, false);
    plan.apply(|node| {
        match node {
            LogicalPlan::TableScan(scan) => found |= scan.table_name.table() == TABLE,
            LogicalPlan::Aggregate(_) | LogicalPlan::Limit(_) | LogicalPlan::Distinct(_) => summed = true,
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found && !summed)
}

/// What flows are summed by: the join's keys, and columns of few values that the question itself groups by.
fn groups(aggregate: &Aggregate, join: &Join, flows: &LogicalPlan, left_is_flows: bool) -> Option<Vec<Expr>> {
    let mut seen: HashSet<Column> = HashSet::new();
    for (left, right) in &join.on {
        let key = if left_is_flows { left } else { right };
        seen.extend(key.column_refs().into_iter().cloned());
    }
    for group in &aggregate.group_expr {
        let Expr::Column(column) = group else { return None };
        if flows.schema().has_column(column) {
            let (_, field) = flows.schema().qualified_field_from_column(column).ok()?;
            if !seen.contains(column) && field.data_type() != &word() && field.data_type() != &DataType::UInt8
            {
                return None;
            }
            seen.insert(column.clone());
        }
    }
    let mut columns: Vec<Column> = seen.into_iter().collect();
    columns.sort();
    Some(columns.into_iter().map(Expr::Column).collect())
}
