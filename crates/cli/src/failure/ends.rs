//! What goes wrong with other ends: the sentences in Chinese, the hints in both languages.

use super::Words;
use netwhy_ends::{EndError, FaultCode, PlaceError};

/// The Chinese sentence about a place.
pub(super) fn of_place(error: &PlaceError) -> String {
    match error {
        PlaceError::Form(text) => format!("{text:?} 不是 NAME=PLACE 的形式"),
        PlaceError::Name(text) => format!("{text:?} 不能作端点的名字"),
        PlaceError::Kind(text) => format!("位置 {text:?} 的种类未知"),
        PlaceError::NoHost(text) => format!("位置 {text:?} 没有主机"),
        PlaceError::Host { host, place } => format!("位置 {place:?} 中的 {host:?} 不是主机名或地址"),
        PlaceError::User { user, place } => format!("位置 {place:?} 中的 {user:?} 不是用户名"),
        PlaceError::Port { port, place } => format!("位置 {place:?} 的端口 {port:?} 不是 1 到 65535 的数字"),
        PlaceError::NoCommand(text) => format!("位置 {text:?} 没有命令"),
        PlaceError::Quote(text) => format!("位置 {text:?} 的引号没有闭合"),
        PlaceError::Backslash(text) => format!("位置 {text:?} 以单独的反斜杠结尾"),
        PlaceError::TooLong(text) => format!("位置 {text:?} 的命令过长"),
        PlaceError::Netns { name, place } => format!("位置 {place:?} 中的 {name:?} 不是网络命名空间的名字"),
    }
}

/// How a place is written.
pub(super) fn place_hint(error: &PlaceError) -> Words {
    let pair = match error {
        PlaceError::Form(_) => {
            ("write it as in --at origin=ssh://root@203.0.113.7", "写作 --at origin=ssh://root@203.0.113.7")
        }
        PlaceError::Name(_) => (
            "names are origin, edge, client, or any of letters, digits, - _ and . up to 32",
            "名字为 origin、edge、client，或至多 32 个字母、数字、-、_ 与 .",
        ),
        PlaceError::Kind(_) => (
            "known are: ssh://USER@HOST netns:NAME exec:'PREFIX' agent://HOST local",
            "可用的有：ssh://USER@HOST netns:NAME exec:'PREFIX' agent://HOST local",
        ),
        PlaceError::NoHost(_) | PlaceError::Host { .. } => (
            "write a name or address, IPv6 in brackets: ssh://root@[2001:db8::1]:22",
            "写主机名或地址，IPv6 加方括号：ssh://root@[2001:db8::1]:22",
        ),
        PlaceError::User { .. } => (
            "a password is never given here; keys and agents of OpenSSH are used",
            "此处不写密码；使用 OpenSSH 的密钥与代理",
        ),
        PlaceError::Port { .. } => ("ports are 1 to 65535", "端口为 1 到 65535"),
        PlaceError::NoCommand(_)
        | PlaceError::Quote(_)
        | PlaceError::Backslash(_)
        | PlaceError::TooLong(_) => (
            "write what starts programs over there, as in exec:'docker exec -i web'",
            "写在那边启动程序的命令前缀，如 exec:'docker exec -i web'",
        ),
        PlaceError::Netns { .. } => ("ip netns list shows the names", "ip netns list 可列出名字"),
    };
    pair.into()
}

/// The Chinese sentence about an end.
pub(super) fn of_end(error: &EndError) -> String {
    match error {
        EndError::Start { program, .. } => format!("无法启动 {program:?}"),
        EndError::Netns { name, .. } => format!("无法进入网络命名空间 {name:?}"),
        EndError::OwnProgram { .. } => "无法读取 netwhy 自身的程序文件".to_owned(),
        EndError::NotStarted { said } => with("命令在 netwhy 启动之前就已结束", said),
        EndError::Terminal => "该命令给程序一个终端，会搅乱通信".to_owned(),
        EndError::Machine { found, own } => format!("那边的机器是 {found}，而此 netwhy 为 {own} 构建"),
        EndError::Loader { loader } => format!("那边没有此 netwhy 启动所需的 {loader}"),
        EndError::NoDirectory { tried } => format!("那边没有可存放程序的目录：试过 {tried}"),
        EndError::NoProc => "那边没有 /proc".to_owned(),
        EndError::Damaged { said } => with("netwhy 的副本没有完整到达", said),
        EndError::CopyFails { said } => with("netwhy 的副本在那边无法启动", said),
        EndError::NoCredentials => "没有给出访问代理的证书".to_owned(),
        EndError::Credentials { path, why } => format!("无法使用 {path:?}：{why}"),
        EndError::Connect { agent, .. } => format!("无法连接代理 {agent}"),
        EndError::Secure { agent, why } => format!("无法与代理 {agent} 建立安全连接：{why}"),
        EndError::Timeout { what, after_ms } => format!("{}超过 {after_ms} 毫秒", waited_for(what)),
        EndError::Gone { said } => with("对端已不在", said),
        EndError::Truncated => "对端在消息中途停止".to_owned(),
        EndError::TooLong { bytes_max } => format!("消息超过允许的 {bytes_max} 字节"),
        EndError::Garbage { excerpt } => format!("对端发来的不是消息：{excerpt:?}"),
        EndError::Stalled => "对端不读取应答".to_owned(),
        EndError::Broken { .. } => "与对端的连接中断".to_owned(),
        EndError::Fault(fault) => format!("对端说：{fault}"),
        EndError::Unexpected => "对端的应答与所问不符".to_owned(),
        EndError::Version { theirs, own } => format!("对端使用协议版本 {theirs}，此 netwhy 使用 {own}"),
        EndError::Closed => "会话已关闭".to_owned(),
    }
}

/// What was waited for, by the English the library has for it.
const WAITS: [(&str, &str); 11] = [
    ("starting a shell over there", "在那边启动 shell "),
    ("copying netwhy over there", "把 netwhy 复制到那边"),
    ("connecting to the agent", "连接代理"),
    ("the handshake with the agent", "与代理握手"),
    ("the introduction of the other side", "对端的自我介绍"),
    ("beginning to watch", "开始观察"),
    ("reading what was seen", "读取所见"),
    ("ending the watch", "结束观察"),
    ("the look at the machine", "查看机器"),
    ("the run over there", "在那边的运行"),
    ("the next message", "下一条消息"),
];

fn waited_for(what: &'static str) -> &'static str {
    WAITS.iter().find(|(en, _)| *en == what).map_or(what, |(_, zh)| zh)
}

fn with(sentence: &str, said: &str) -> String {
    if said.is_empty() { sentence.to_owned() } else { format!("{sentence}：{said}") }
}

/// What to do about it, where that is plain.
pub(super) fn end_hint(error: &EndError) -> Option<Words> {
    let pair = match error {
        EndError::Start { .. } => ("check the command after exec:", "请检查 exec: 之后的命令"),
        EndError::Netns { .. } => (
            "ip netns list shows the names; entering one needs root",
            "ip netns list 可列出名字；进入需要 root",
        ),
        EndError::NotStarted { .. } => (
            "the same command must run a program by hand: PREFIX true; ssh must not ask for a password",
            "同样的前缀须能手动运行程序：PREFIX true；ssh 不能要求输入密码",
        ),
        EndError::Terminal => ("leave out -t, as in docker exec -i web", "去掉 -t，如 docker exec -i web"),
        EndError::Machine { .. } | EndError::Loader { .. } | EndError::CopyFails { .. } => (
            "install a netwhy for that system there, start netwhy agent, and write agent://HOST",
            "在那边安装适合该系统的 netwhy，启动 netwhy agent，再写 agent://HOST",
        ),
        EndError::NoDirectory { .. } => (
            "set TMPDIR over there to a directory on a file system without noexec",
            "把那边的 TMPDIR 设为没有 noexec 的文件系统上的目录",
        ),
        EndError::NoCredentials => (
            "give --agent-dir DIR with the files netwhy agent init made",
            "请给出 --agent-dir DIR，内有 netwhy agent init 生成的文件",
        ),
        EndError::Credentials { .. } => (
            "netwhy agent init makes all files; keys must be readable by their owner only (chmod 600)",
            "netwhy agent init 可生成全部文件；私钥只能由其所有者读取（chmod 600）",
        ),
        EndError::Connect { .. } => {
            ("is netwhy agent running there, with --listen?", "那边的 netwhy agent 是否以 --listen 运行？")
        }
        EndError::Secure { .. } => (
            "both sides need files of one netwhy agent init, and HOST must be one of its names or addresses",
            "两边须用同一次 netwhy agent init 的文件，且 HOST 须是其中的名字或地址",
        ),
        EndError::Version { .. } => ("use the same netwhy on both sides", "两边请使用相同的 netwhy"),
        EndError::Fault(fault) if fault.code == FaultCode::NotAllowed => {
            ("the agent may allow it with --allow-run", "代理可以用 --allow-run 允许")
        }
        _ => return None,
    };
    Some(pair.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use netwhy_ends::At;

    #[test]
    fn every_slip_in_a_place_has_chinese_and_a_hint() {
        let wide = |text: &str| text.chars().any(|c| ('\u{4e00}'..'\u{9fff}').contains(&c));
        for text in [
            "local",
            "a b=local",
            "o=x",
            "o=ssh://",
            "o=ssh://h h",
            "o=ssh://u:p@h",
            "o=ssh://h:0",
            "o=exec:",
            "o=exec:a 'b",
            "o=exec:a\\",
            "o=netns:../x",
        ] {
            let error = text.parse::<At>().unwrap_err();
            assert!(wide(&of_place(&error)), "{text}");
            assert!(wide(place_hint(&error).0.zh.as_str()));
        }
        let late = EndError::Timeout { what: "beginning to watch", after_ms: 5 };
        assert_eq!(of_end(&late), "开始观察超过 5 毫秒");
    }
}
