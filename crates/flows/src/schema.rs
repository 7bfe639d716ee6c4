//! The columns of a flow record, by name: what `flows query` and the lake call them.

use netwhy_model::Text;

/// Rises when a column changes its name, type or meaning.
pub const VERSION: u32 = 1;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Milliseconds since 1970, UTC.
    Time,
    /// An IPv4 or IPv6 address.
    Address,
    U8,
    U16,
    U64,
    /// A word that repeats.
    Word,
}

/// One column.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    pub about: Text,
}

macro_rules! columns {
    ($($name:literal $kind:ident $en:literal $zh:literal;)*) => {
        /// All columns, in order.
        pub fn columns() -> Vec<Column> {
            vec![$(Column { name: $name, kind: Kind::$kind, about: Text { en: $en.into(), zh: $zh.into() } }),*]
        }
    };
}

columns! {
    "start" Time "first packet, or the beginning of the aggregation" "首个数据包的时间，或聚合窗口的开始";
    "end" Time "last packet, or the end of the aggregation" "最后一个数据包的时间，或聚合窗口的结束";
    "src" Address "sender" "发送方地址";
    "dst" Address "receiver" "接收方地址";
    "sport" U16 "sender's port" "发送方端口";
    "dport" U16 "receiver's port; for ICMP type × 256 + code" "接收方端口；ICMP 时为 类型 × 256 + 代码";
    "protocol" U8 "IANA protocol number" "IANA 协议号";
    "packets" U64 "packets" "数据包数";
    "bytes" U64 "bytes" "字节数";
    "tcp_flags" U8 "all TCP flags seen, OR-ed; 0 where not told" "出现过的全部 TCP 标志按位或；未给出时为 0";
    "action" Word "accept or reject; empty where not told" "accept（放行）或 reject（拒绝）；未给出时为空";
    "direction" Word "in or out of the interface; empty where not told" "in（入）或 out（出）；未给出时为空";
    "opener" Word "source where the sender opened the conversation, destination where it answers; empty where not told" "source：发送方发起会话；destination：此为应答；未给出时为空";
    "status" Word "ok, nodata or skipdata" "ok、nodata 或 skipdata";
    "account" Word "account, project or subscription" "账号、项目或订阅";
    "interface" Word "interface or exporter that saw it" "看到该流的网卡或导出器";
    "rule" Word "rule or group that decided" "作出决定的规则或安全组";
    "file" Word "file it was read from" "来源文件";
    "offset" U64 "byte of the unpacked file where the record begins" "记录在解压后文件中的起始字节";
}
