//! The layouts of /proc/PID files. Pure; takes any text.

/// What is used of /proc/PID/stat (proc(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    pub name: String,
    pub state: char,
    pub parent: u32,
    /// User and system time in clock ticks.
    pub cpu_ticks: u64,
    pub threads: u32,
    /// Clock ticks between the machine's start and the process'.
    pub start_ticks: u64,
    pub memory_pages: u64,
}

/// Reads /proc/PID/stat; the name may hold spaces and brackets.
pub fn parse_stat(text: &str) -> Option<Stat> {
    let open = text.find('(')?;
    let close = text.rfind(')')?;
    let name = text.get(open + 1..close)?.to_owned();
    let fields: Vec<&str> = text.get(close + 1..)?.split_whitespace().take(50).collect();
    // proc(5) counts from 1 and pid and name are behind us: field 3, the state, is here at 0.
    let number = |field: usize| fields.get(field - 3).and_then(|word| word.parse::<u64>().ok());
    Some(Stat {
        name,
        state: fields.first()?.chars().next()?,
        parent: u32::try_from(number(4)?).ok()?,
        cpu_ticks: number(14)?.saturating_add(number(15)?),
        threads: u32::try_from(number(20)?).unwrap_or(0),
        start_ticks: number(22)?,
        memory_pages: number(24).unwrap_or(0),
    })
}

/// The soft limit on open files out of /proc/PID/limits; `None` when unlimited.
pub fn parse_limits_open_files(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_hostile_name_does_not_shift_the_fields() {
        let text = "42 (a) R 1 (b) S 7 1 1 0 -1 4194560 1 0 0 0 11 22 0 0 20 0 3 0 5000 1000 77 18";
        let stat = parse_stat(text).unwrap();
        assert_eq!(stat.name, "a) R 1 (b");
        assert_eq!((stat.state, stat.parent, stat.threads), ('S', 7, 3));
        assert_eq!((stat.cpu_ticks, stat.start_ticks, stat.memory_pages), (33, 5_000, 77));
    }

    #[test]
    fn the_soft_limit_is_read() {
        let text = "Limit Soft Hard Units\nMax open files            1024                 524288               files\n";
        assert_eq!(parse_limits_open_files(text), Some(1_024));
        assert_eq!(parse_limits_open_files("Max open files unlimited unlimited files"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(?s).{0,300}") {
            let _ = parse_stat(&text);
            let _ = parse_limits_open_files(&text);
        }
    }
}
