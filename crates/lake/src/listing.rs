//! The lake's files as a table: those that the manifest names, and of them only those whose times a query asks for.

use crate::error::LakeError;
use crate::manifest::DataFile;
use crate::schema::{STORED, asked};
use crate::session::TABLE;
use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType, ident};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::prelude::SessionContext;
use std::sync::Arc;

/// A file's URL and what is known of it.
pub type Located = (String, DataFile);

/// Makes the files the table `flows`; `local` says that the plan need not travel to a cluster.
pub fn register(context: &SessionContext, files: Vec<Located>, local: bool) -> Result<(), LakeError> {
    let wide = files.iter().any(|(_, file)| file.wide > 0);
    let schema = if wide { STORED.clone() } else { asked(false) };
    let table: Arc<dyn TableProvider> = if local || files.is_empty() {
        Arc::new(LakeTable { schema, files })
    } else {
        Arc::new(listing(schema, files.iter().map(|(url, _)| url.as_str()))?)
    };
    if !wide {
        context.register_table(TABLE, table)?;
        return Ok(());
    }
    // With both kinds of address there is still one column, of 16 bytes: slower, and the same to whoever asks.
    let frame = context.read_table(table)?;
    let columns =
        STORED.fields().iter().filter(|field| !is_twin(field)).map(|field| one_column(context, field));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    context.register_table(TABLE, frame.select(columns)?.into_view())?;
    Ok(())
}

fn one_column(context: &SessionContext, field: &Field) -> Result<Expr> {
    let name = field.name();
    if field.data_type() != &DataType::UInt32 {
        return Ok(ident(name));
    }
    let address = context.udf("address")?;
    Ok(address.call(vec![ident(name), ident(format!("{name}6"))]).alias(name))
}

fn is_twin(field: &Field) -> bool {
    matches!(field.data_type(), DataType::FixedSizeBinary(_))
}

fn listing<'a>(schema: SchemaRef, urls: impl Iterator<Item = &'a str>) -> Result<ListingTable> {
    let urls = urls.map(ListingTableUrl::parse).collect::<Result<Vec<_>>>()?;
    let format = ParquetFormat::default().with_enable_pruning(true).with_skip_metadata(true);
    let options = ListingOptions::new(Arc::new(format)).with_file_extension(".parquet");
    let config =
        ListingTableConfig::new_with_multi_paths(urls).with_listing_options(options).with_schema(schema);
    ListingTable::try_new(config)
}

/// The files of one manifest.
#[derive(Debug)]
struct LakeTable {
    schema: SchemaRef,
    files: Vec<Located>,
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (mut from, mut to) = (i64::MIN, i64::MAX);
        for filter in filters {
            narrow(filter, &mut from, &mut to);
        }
        let within =
            self.files.iter().filter(|(_, file)| file.start_ms_max >= from && file.start_ms_min <= to);
        let urls: Vec<_> = within.map(|(url, _)| url.as_str()).collect();
        if urls.is_empty() {
            let schema = match projection {
                Some(places) => Arc::new(self.schema.project(places)?),
                None => self.schema.clone(),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let table = listing(self.schema.clone(), urls.into_iter())?;
        table.scan(state, projection, filters, limit).await
    }
}

/// Narrows the asked times by what a filter surely demands of `start`.
fn narrow(filter: &Expr, from: &mut i64, to: &mut i64) {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            narrow(left, from, to);
            narrow(right, from, to);
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (column, op, value) = match (left.as_ref(), right.as_ref()) {
                (Expr::Column(column), Expr::Literal(value, _)) => (column, Some(*op), value),
                (Expr::Literal(value, _), Expr::Column(column)) => (column, op.swap(), value),
                _ => return,
            };
            let ScalarValue::TimestampMillisecond(Some(time), _) = value else { return };
            if column.name != "start" {
                return;
            }
            match op {
                Some(Operator::Gt | Operator::GtEq) => *from = (*from).max(*time),
                Some(Operator::Lt | Operator::LtEq) => *to = (*to).min(*time),
                Some(Operator::Eq) => (*from, *to) = ((*from).max(*time), (*to).min(*time)),
                _ => {}
            }
        }
        Expr::Between(between) if !between.negated => {
            let low = between.expr.as_ref().clone().gt_eq(between.low.as_ref().clone());
            let high = between.expr.as_ref().clone().lt_eq(between.high.as_ref().clone());
            narrow(&low, from, to);
            narrow(&high, from, to);
        }
        _ => {}
    }
}
