//! What goes wrong with flow records: the sentences in Chinese, the hints in both languages.

use super::Words;
use netwhy_flows::dump::DumpError;
use netwhy_flows::live::LiveError;
use netwhy_flows::logs::LogError;
use netwhy_flows::read::{ReadError, Why};
use netwhy_flows::source::SourceError;
use std::error::Error;

/// The Chinese sentence about a file or a live source of records.
pub(super) fn in_chinese(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(read) = error.downcast_ref::<ReadError>() {
        return Some(of_read(read));
    }
    let inside = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    if let Some(why) = inside.and_then(|inside| inside.downcast_ref::<Why>()) {
        return Some(of_why(why));
    }
    if let Some(dump) = error.downcast_ref::<DumpError>() {
        return Some(of_dump(dump));
    }
    if let Some(log) = error.downcast_ref::<LogError>() {
        return Some(of_log(log));
    }
    if let Some(live) = error.downcast_ref::<LiveError>() {
        return Some(of_live(live));
    }
    Some(match error.downcast_ref::<SourceError>()? {
        SourceError::Unknown => "不是可读取的格式".to_owned(),
        SourceError::Parquet => "这是 Parquet，只有含数据湖的 netwhy 能读取".to_owned(),
        SourceError::Input(_) => "无法读取".to_owned(),
        SourceError::FlowLog(read) => of_read(read),
        SourceError::Dump(dump) => of_dump(dump),
        SourceError::Log(log) => of_log(log),
    })
}

fn of_log(error: &LogError) -> String {
    format!("{} 从第 {} 字节起无法继续读取", error.file, error.offset)
}

fn of_read(error: &ReadError) -> String {
    format!("{}，解压后第 {} 字节：{}", error.file, error.offset, of_why(&error.why))
}

fn of_why(why: &Why) -> String {
    match why {
        Why::Input(source) => format!("输入无法读取：{source}"),
        Why::Gzip(why) => format!("gzip 数据流已损坏（{why}）"),
        Why::TooLarge(bytes) => format!("解压后超过 {bytes} 字节"),
        Why::TooDense(times) => format!("解压后超过自身的 {times} 倍，流日志不会如此"),
        Why::Unknown => "不是可读取的文本或 JSON 流日志".to_owned(),
        Why::Elsewhere(format) => format!("格式为 {format:?}，由其他读取器读取"),
        Why::Fields(text) => format!("字段顺序中没有任何已知字段：{text}"),
        Why::Worker => "一个读取线程停止了".to_owned(),
    }
}

fn of_dump(error: &DumpError) -> String {
    match error {
        DumpError::Input { offset, .. } => format!("文件在第 {offset} 字节处无法读取"),
        DumpError::Foreign { what } => format!("文件不是 {what}"),
        DumpError::Compressed { method } => {
            format!("文件以 {method} 压缩，netwhy 不解压；请用 nfdump 不压缩地重写")
        }
    }
}

fn of_live(error: &LiveError) -> String {
    match error {
        LiveError::Bind { address, .. } => format!("无法监听 {address}"),
        LiveError::Socket(_) => "套接字出错".to_owned(),
        LiveError::Conntrack(_) => "无法观察连接跟踪".to_owned(),
        LiveError::Handshakes(_) => "无法观察数据包".to_owned(),
        LiveError::Sockets(_) => "无法列出套接字".to_owned(),
    }
}

/// What to do about it.
pub(super) fn hint(error: &(dyn Error + 'static)) -> Option<Words> {
    match error.downcast_ref::<LiveError>()? {
        LiveError::Bind { .. } => Some(
            ("is another collector running? choose with --port", "是否已有其他收集器？请用 --port 另选")
                .into(),
        ),
        LiveError::Conntrack(_) => Some(
            (
                "run as root, and load nf_conntrack for more than sockets",
                "以 root 运行，并加载 nf_conntrack 以看到更多",
            )
                .into(),
        ),
        LiveError::Handshakes(_) => Some(
            (
                "run as root to see scanners that use no socket, and conversations of less than half a second",
                "以 root 运行，才能看到不使用套接字的扫描器与不足半秒的会话",
            )
                .into(),
        ),
        LiveError::Socket(_) | LiveError::Sockets(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netwhy_flows::UnreadCount;

    #[test]
    fn every_reason_has_chinese() {
        let read = |why| ReadError { file: "a".into(), offset: 7, why, count: UnreadCount::default() };
        for why in
            [Why::Gzip("cut"), Why::TooLarge(1), Why::TooDense(9), Why::Unknown, Why::Fields("x".into())]
        {
            let said = in_chinese(&read(why)).unwrap();
            assert!(said.contains("第 7 字节"), "{said}");
        }
        assert!(in_chinese(&SourceError::Unknown).unwrap().contains("格式"));
    }
}
