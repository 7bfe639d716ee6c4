//! What is said of a value that is not what its field may hold, in English and Chinese.

pub type Sentence = (&'static str, &'static str);

pub const SENDER: Sentence = ("the sender is no address", "发送方不是地址");
pub const RECEIVER: Sentence = ("the receiver is no address", "接收方不是地址");
pub const PORT: Sentence = ("a port is no number up to 65535", "端口不是 65535 以内的数字");
pub const PROTOCOL: Sentence = ("the protocol is no number up to 255", "协议不是 255 以内的数字");
pub const COUNT: Sentence = ("a count is no number", "计数不是数字");
pub const TIME: Sentence = ("the time cannot be read", "无法读取时间");
pub const DECISION: Sentence = ("what was decided is not known", "未知的动作");
pub const STATE: Sentence = ("the state is not known", "未知的状态");
pub const FLAGS: Sentence = ("the TCP flags are no number up to 255", "TCP 标志不是 255 以内的数字");
pub const DIRECTION: Sentence = ("the direction is neither in nor out", "方向既不是入也不是出");
pub const VERSION: Sentence = ("the version is no number", "版本不是数字");
pub const EMPTY: Sentence = ("a field is empty", "某字段为空");
pub const TUPLE: Sentence = ("a tuple has too few fields", "元组的字段太少");
pub const TOO_LONG: Sentence = ("the record is longer than any flow log's", "该记录比任何流日志的都长");
