//! `netwhy policy who` and `policy matrix`: everyone who may, and who reaches whom on what.

use super::can::{How, end, split_port, world};
use super::tell::{reason, toned, verdict_word};
use super::{Sources, files};
use crate::{Common, fail, print};
use anyhow::Result;
use netwhy_policy::can::Verdict;
use netwhy_policy::estate::{Ask, End};
use netwhy_policy::matrix::{self, Cell, Matrix};
use netwhy_policy::place::both;
use netwhy_policy::reach::{self, Reach};
use netwhy_policy::space::Ranges;
use netwhy_policy::world::World;
use serde::Serialize;
use std::fmt::Write;

/// Who may reach a port?
#[derive(Debug, clap::Args)]
pub struct WhoArgs {
    /// What is reached: an address, network or name with a port
    #[arg(value_name = "TO:PORT")]
    to: String,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    how: How,
}

/// Who reaches whom on what?
#[derive(Debug, clap::Args)]
pub struct MatrixArgs {
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    how: How,
    /// Only ends whose name begins so; may be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Write an SVG picture
    #[arg(long, conflicts_with = "json")]
    svg: bool,
}

/// The contract `netwhy.policy-who/1`.
#[derive(Debug, Serialize)]
struct WhoReport<'a> {
    schema: &'static str,
    to: &'a str,
    from: &'a [Reach],
}

pub(super) fn who(args: &WhoArgs, common: &Common) -> Result<u8> {
    let world = world(&args.sources, &args.how, common)?;
    let (to, port) = split_port(&args.to);
    let ask =
        Ask { from: End::Outside, to: end(&world, to)?, protocol: args.how.protocol()?, port, request: None };
    let all = reach::who(&world, &ask);
    if common.json {
        let report = WhoReport { schema: "netwhy.policy-who/1", to: &args.to, from: &all };
        print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else {
        files::tell_unread(world.unread(), common.lang);
        print(&page(&all, common))?;
    }
    Ok(0)
}

fn page(all: &[Reach], common: &Common) -> String {
    let width = all.iter().map(|one| one.from.len()).max().unwrap_or(0);
    let mut page = String::new();
    for wanted in [Verdict::Allowed, Verdict::Depends, Verdict::Denied] {
        for one in all.iter().filter(|one| one.verdict == wanted) {
            let word = toned(verdict_word(wanted, common.lang), wanted, common);
            let why = one.by.first().map(|because| reason(because, common.lang)).unwrap_or_default();
            let why = if wanted == Verdict::Allowed { String::new() } else { why };
            let _ = writeln!(page, "{:<width$}  {word}  {why}", one.from);
        }
    }
    page
}

pub(super) fn matrix(args: &MatrixArgs, common: &Common) -> Result<u8> {
    let world = world(&args.sources, &args.how, common)?;
    let wanted =
        |id: &str| args.only.is_empty() || args.only.iter().any(|only| id.starts_with(only.as_str()));
    let ids: Vec<String> = world.endpoints().map(|one| one.id.clone()).filter(|id| wanted(id)).collect();
    if ids.is_empty() || ids.len() > reach::ENDPOINT_COUNT_MAX {
        return Err(no_matrix(ids.len()));
    }
    let protocol = args.how.protocol()?;
    let ends: Vec<(String, End)> = ids
        .into_iter()
        .map(|id| (id.clone(), End::Known(id)))
        .chain([("outside".to_owned(), End::Outside)])
        .collect();
    let matrix = Matrix {
        title: both(
            format!("who reaches whom, {}", args.how.protocol),
            format!("谁能访问谁（{}）", args.how.protocol),
        ),
        rows: ends.iter().map(|end| end.0.clone()).collect(),
        columns: ends.iter().map(|end| end.0.clone()).collect(),
        cells: ends
            .iter()
            .map(|from| ends.iter().map(|to| cell(&world, from, to, protocol)).collect())
            .collect(),
    };
    let text = match () {
        () if args.svg => matrix::svg(&matrix, common.lang),
        () if common.html => matrix::html(&matrix, common.lang),
        () if common.json => format!("{}\n", serde_json::to_string_pretty(&told(&matrix))?),
        () => matrix::text(&matrix, common.lang),
    };
    if !common.json {
        files::tell_unread(world.unread(), common.lang);
    }
    print(&text)?;
    Ok(0)
}

/// One pair: the ports that are open.
fn cell(world: &World, from: &(String, End), to: &(String, End), protocol: u8) -> Cell {
    let why = both("", "");
    if from.0 == to.0 {
        return Cell { verdict: matrix::Verdict::Itself, on: String::new(), why };
    }
    let ports = reach::ports(world, &from.1, &to.1, protocol);
    let on = ports_text(&ports);
    let verdict = match on.as_str() {
        "-" => matrix::Verdict::Denied,
        "all" => matrix::Verdict::Allowed,
        _ => matrix::Verdict::Partly,
    };
    Cell { verdict, on, why }
}

/// The contract `netwhy.policy-matrix/1`.
fn told(matrix: &Matrix) -> serde_json::Value {
    let rows = matrix.rows.iter().zip(&matrix.cells).map(|(from, cells)| {
        let cells =
            matrix.columns.iter().zip(cells).filter(|(_, cell)| cell.verdict != matrix::Verdict::Itself);
        let to: serde_json::Map<_, _> =
            cells.map(|(to, cell)| (to.clone(), cell.on.clone().into())).collect();
        serde_json::json!({ "from": from, "to": to })
    });
    serde_json::json!({ "schema": "netwhy.policy-matrix/1", "rows": rows.collect::<Vec<_>>() })
}

/// Ports as a cell has them: `all`, `-`, `22,80-90`.
fn ports_text(ports: &Ranges) -> String {
    let all: Vec<(u128, u128)> = ports.iter().collect();
    match all.as_slice() {
        [] => "-".to_owned(),
        [(0 | 1, 65_535)] => "all".to_owned(),
        _ => {
            let one = |(first, last): &(u128, u128)| {
                if first == last { first.to_string() } else { format!("{first}-{last}") }
            };
            all.iter().map(one).collect::<Vec<_>>().join(",")
        }
    }
}

fn no_matrix(count: usize) -> anyhow::Error {
    if count == 0 {
        return fail(
            ("the files name no endpoints", "文件中没有端点"),
            (
                "a matrix is of instances, pods and hosts; ask can or who about addresses",
                "矩阵由实例、Pod 和主机构成；若问地址请用 can 或 who",
            ),
        );
    }
    fail(
        (format!("{count} endpoints are too many for a matrix"), format!("{count} 个端点对矩阵来说太多")),
        ("narrow them with --only NAME", "用 --only NAME 缩小范围"),
    )
}
