//! What goes wrong with a lake: the sentences in Chinese, the hints in both languages.

use super::Words;
use netwhy_lake::LakeError;
use std::error::Error;

/// The Chinese sentence about a lake.
pub(super) fn in_chinese(error: &(dyn Error + 'static)) -> Option<String> {
    Some(match error.downcast_ref::<LakeError>()? {
        LakeError::Open { place, .. } => format!("无法把 {place} 作为数据湖打开"),
        LakeError::Store { path, .. } => format!("数据湖的 {path} 无法读写"),
        LakeError::File { path, .. } => format!("{path} 无法读写"),
        LakeError::Manifest { path, why } => format!("{path} 不是数据湖的清单：{why}"),
        LakeError::Newer { found, known } => {
            format!("此数据湖由更新的 netwhy 写成（清单版本 {found}，本版本认识 {known}）")
        }
        LakeError::Busy => "另一个进程正在写入此数据湖".to_owned(),
        LakeError::Contended(count) => format!("另有 {count} 个写入者抢先提交"),
        LakeError::Parquet { path, why } => format!("Parquet 文件 {path} 无法读取：{why}"),
        LakeError::Encode(_) => "记录无法编码".to_owned(),
        LakeError::Query(_) => "问题未能得到回答".to_owned(),
        LakeError::Refused(why) => format!("条件或查询被拒绝：{why}"),
        LakeError::TooManyRows(count) => format!("结果超过 {count} 行；请减少行数，或写入文件"),
        LakeError::Cancelled => "已按要求停止".to_owned(),
        LakeError::Scheduler { address, attempts, .. } => {
            format!(
                "集群调度器 {address} 在 {attempts} 次尝试后仍无应答；其状态只在内存中，待其恢复后请重新提问"
            )
        }
    })
}

/// What to do about it.
pub(super) fn hint(error: &(dyn Error + 'static)) -> Option<Words> {
    let pair = match error.downcast_ref::<LakeError>()? {
        LakeError::Open { .. } => (
            "give a folder, or s3://BUCKET/PREFIX with --store and the store's own variables",
            "请给出目录，或 s3://BUCKET/PREFIX 并以 --store 及其环境变量说明如何访问",
        ),
        LakeError::Newer { .. } => ("update netwhy", "请更新 netwhy"),
        LakeError::Busy | LakeError::Contended(_) => {
            ("wait until it is done, then try again", "请等其完成后再试")
        }
        LakeError::TooManyRows(_) => (
            "use -n, --where, or --format parquet --out FILE",
            "请用 -n、--where 或 --format parquet --out FILE",
        ),
        LakeError::Query(_) | LakeError::Refused(_) => (
            "netwhy flows query --help names the questions; docs/flows.md names the columns",
            "netwhy flows query --help 列出问题；docs/zh/flows.md 列出各列",
        ),
        LakeError::Scheduler { .. } => (
            "start it: netwhy flows scheduler; or leave --cluster out",
            "请启动：netwhy flows scheduler；或去掉 --cluster",
        ),
        _ => return None,
    };
    Some(pair.into())
}
