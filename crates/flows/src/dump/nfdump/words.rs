//! Words of nfdump's texts: times, protocols, flags, scaled numbers.

const MS_PER_DAY: i64 = 86_400_000;
/// Names that nfdump prints for protocols; others are numbers.
const PROTOCOLS: [(&str, u8); 23] = [
    ("ICMP", 1),
    ("IGMP", 2),
    ("GGP", 3),
    ("IPIP", 4),
    ("ST", 5),
    ("TCP", 6),
    ("EGP", 8),
    ("IGP", 9),
    ("UDP", 17),
    ("DCCP", 33),
    ("IPv6", 41),
    ("Frag6", 44),
    ("RSVP", 46),
    ("GRE", 47),
    ("ESP", 50),
    ("AH", 51),
    ("ICMP6", 58),
    ("EIGRP", 88),
    ("OSPF", 89),
    ("PIM", 103),
    ("VRRP", 112),
    ("SCTP", 132),
    ("UDPLt", 136),
];

/// Reads `2020-12-08` and `19:10:03.986` as milliseconds since 1970.
pub fn time(date: &str, clock: &str) -> Option<i64> {
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    Some(days(year, month, day) * MS_PER_DAY + clock_ms(clock)?)
}

/// Days since 1970, by the calendar that begins its years in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Reads `19:10:03.986`, `00:00:01.000` or `1.250` seconds as milliseconds.
pub fn clock_ms(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let mut seconds = 0_i64;
    for part in whole.split(':') {
        seconds = seconds.checked_mul(60)?.checked_add(part.parse().ok().filter(|part| *part >= 0)?)?;
    }
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    seconds.checked_mul(1000)?.checked_add(digits.parse().ok()?)
}

/// Reads a protocol's name or number.
pub fn protocol(text: &str) -> Option<u8> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        PROTOCOLS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, number)| *number)
    })
}

/// Reads `...AP.SF`, or flags as a number; ECN's two are not kept.
pub fn tcp_flags(text: &str) -> u8 {
    let text = text.trim();
    if let Some(number) = text.strip_prefix("0x").and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
        return number & 0x3f;
    }
    text.chars().fold(0, |flags, letter| {
        flags
            | match letter {
                'F' => 1,
                'S' => 2,
                'R' => 4,
                'P' => 8,
                'A' => 16,
                'U' => 32,
                'X' => 0x3f,
                _ => 0,
            }
    })
}

/// Scales `1.2` with `M`: nfdump rounds large numbers for people.
pub fn scaled(number: &str, unit: Option<&str>) -> Option<u64> {
    let factor = match unit {
        None => return number.parse().ok(),
        Some("K") => 1e3,
        Some("M") => 1e6,
        Some("G") => 1e9,
        Some("T") => 1e12,
        Some(_) => return None,
    };
    let number: f64 = number.parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some((number * factor) as u64)
}

/// Reads a port, or ICMP's `8.0` as type × 256 + code.
pub fn port(text: &str) -> Option<u16> {
    match text.split_once('.') {
        None => text.parse().ok(),
        Some((kind, code)) => {
            Some(u16::from(kind.parse::<u8>().ok()?) << 8 | u16::from(code.parse::<u8>().ok()?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        assert_eq!(time("2020-12-08", "19:10:03.986"), Some(1_607_454_603_986));
        assert_eq!(time("1970-01-01", "00:00:00"), Some(0));
        assert_eq!(time("2000-02-29", "00:00:00.5"), Some(951_782_400_500));
        assert_eq!(time("2020-13-08", "19:10:03.986"), None);
        assert_eq!(clock_ms("1.250"), Some(1250));
    }

    #[test]
    fn words_are_numbers() {
        assert_eq!(tcp_flags("...AP.SF"), 0x1b);
        assert_eq!(tcp_flags("0x02 ......S."), 0x02);
        assert_eq!(scaled("1.2", Some("M")), Some(1_200_000));
        assert_eq!(port("3.13"), Some(0x030d));
        assert_eq!(protocol("ICMP6"), Some(58));
    }
}
