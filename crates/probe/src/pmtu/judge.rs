//! What the sizes that passed and failed say together. Pure.

use serde::Serialize;
use std::net::IpAddr;

/// Below this a sharp limit on echo alone is likelier a filter of large pings than a link, in bytes.
const LINK_MTU_LIKELY_MIN: u16 = 1_200;

/// The value of `path.pmtu`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PmtuValue {
    Full,
    Reported,
    Blackhole,
}

impl PmtuValue {
    /// The name in the catalogue.
    pub const fn name(self) -> &'static str {
        match self {
            PmtuValue::Full => "full",
            PmtuValue::Reported => "reported",
            PmtuValue::Blackhole => "blackhole",
        }
    }
}

/// What one carrier met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Carrier {
    /// Small packets were answered.
    pub alive: bool,
    /// Largest whole packet that was answered, in bytes.
    pub passes: Option<u16>,
    /// Smallest that never was, although asked again and again.
    pub fails: Option<u16>,
    /// What a router said: the MTU (0 when it named none), and who it was.
    pub reported: Option<(u32, IpAddr)>,
}

impl Carrier {
    /// Large packets vanish: there is a sharp border, and it lies below what a router reported, if any did.
    pub fn vanishes(&self) -> bool {
        let below_report =
            |fails: u16| self.reported.is_none_or(|(mtu, _)| mtu == 0 || u32::from(fails) <= mtu);
        self.alive
            && matches!((self.passes, self.fails), (Some(passes), Some(fails))
                if passes.saturating_add(1) == fails && below_report(fails))
    }
}

/// The path MTU and how it shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PmtuReport {
    pub target: IpAddr,
    /// `None` when nothing of any size was answered, or chance cannot be excluded.
    pub value: Option<PmtuValue>,
    /// The MTU of the way out of this host, in bytes; no larger packet was tried.
    pub interface_mtu: u16,
    /// What this host's kernel believes the path takes, in bytes.
    pub known_mtu: u32,
    /// Largest packet this host's TCP would send there, in bytes, by the segment size agreed on.
    pub tcp_packet_max: Option<u32>,
    pub echo: Carrier,
    pub segments: Carrier,
    /// Echo requests in pieces: the size of the answers that find the way back, asked where the way out is small.
    pub answers: Carrier,
}

impl PmtuReport {
    /// Decides the value from the carriers.
    pub fn decide(&mut self) {
        self.value = self.verdict();
    }

    fn verdict(&self) -> Option<PmtuValue> {
        let full = |carrier: &Carrier| carrier.passes == Some(self.interface_mtu);
        if full(&self.echo) {
            return Some(PmtuValue::Full);
        }
        let vanishing = [&self.segments, &self.echo].into_iter().find(|carrier| carrier.vanishes());
        if let Some(passes) = vanishing.and_then(|carrier| carrier.passes) {
            let echo_alone = !self.segments.vanishes();
            if echo_alone && self.segments.alive && full(&self.segments) && passes < LINK_MTU_LIKELY_MIN {
                return Some(PmtuValue::Full);
            }
            if echo_alone && passes < LINK_MTU_LIKELY_MIN {
                return None;
            }
            return Some(if self.kept_below(passes) { PmtuValue::Reported } else { PmtuValue::Blackhole });
        }
        if self.answers.vanishes() {
            return Some(PmtuValue::Blackhole);
        }
        let known = u32::from(self.interface_mtu) > self.known_mtu
            && self.passes().is_some_and(|passes| u32::from(passes) == self.known_mtu);
        if self.router().is_some() || known {
            return Some(PmtuValue::Reported);
        }
        full(&self.segments).then_some(PmtuValue::Full)
    }

    /// True when this host never sends more than what passes: by a route's MTU or by the segment size agreed on.
    fn kept_below(&self, passes: u16) -> bool {
        let passes = u32::from(passes);
        self.known_mtu <= passes || self.tcp_packet_max.is_some_and(|max| max <= passes)
    }

    /// The router that named an MTU, and the MTU.
    pub fn router(&self) -> Option<(u32, IpAddr)> {
        self.echo.reported.or(self.segments.reported)
    }

    /// The largest packet seen to pass, in bytes.
    pub fn passes(&self) -> Option<u16> {
        self.echo.passes.max(self.segments.passes)
    }

    /// Sizes and senders in one line.
    pub fn told(&self) -> String {
        let mut parts = vec![format!("interface MTU {}", self.interface_mtu)];
        for (name, carrier) in [("ping", &self.echo), ("TCP", &self.segments)] {
            match (carrier.passes, carrier.fails) {
                (Some(passes), Some(fails)) => {
                    parts.push(format!("{name} of {passes} bytes answered, of {fails} not"));
                }
                (Some(passes), None) => parts.push(format!("{name} of {passes} bytes answered")),
                _ if name == "ping" => parts.push("ping not answered".to_owned()),
                _ => {}
            }
        }
        match self.router() {
            Some((0, from)) => parts.push(format!("too big says {from}, naming no MTU")),
            Some((mtu, from)) => parts.push(format!("MTU {mtu} says {from}")),
            None => {}
        }
        if let (Some(passes), Some(fails)) = (self.answers.passes, self.answers.fails) {
            parts.push(format!("answers of {passes} bytes come back, of {fails} not"));
        }
        if let Some(max) = self.tcp_packet_max {
            parts.push(format!("TCP sends {max} at most"));
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carrier(passes: u16, fails: Option<u16>) -> Carrier {
        Carrier { alive: true, passes: Some(passes), fails, reported: None }
    }

    fn verdict(echo: Carrier, segments: Carrier, tcp_packet_max: u32) -> Option<PmtuValue> {
        let target = "10.0.0.2".parse().unwrap();
        let mut report = PmtuReport {
            target,
            value: None,
            interface_mtu: 1500,
            known_mtu: 1500,
            tcp_packet_max: Some(tcp_packet_max),
            echo,
            segments,
            answers: Carrier::default(),
        };
        report.decide();
        report.value
    }

    #[test]
    fn verdicts() {
        let (dead, all, hole) = (Carrier::default(), carrier(1500, None), carrier(1400, Some(1401)));
        assert_eq!(verdict(all, all, 1500), Some(PmtuValue::Full));
        assert_eq!(verdict(all, hole, 1500), Some(PmtuValue::Full));
        assert_eq!(verdict(hole, hole, 1500), Some(PmtuValue::Blackhole));
        assert_eq!(verdict(dead, hole, 1500), Some(PmtuValue::Blackhole));
        assert_eq!(verdict(hole, all, 1500), Some(PmtuValue::Blackhole));
        assert_eq!(verdict(hole, hole, 1400), Some(PmtuValue::Reported));
        assert_eq!(verdict(carrier(1000, Some(1001)), all, 1500), Some(PmtuValue::Full));
        assert_eq!(verdict(carrier(1000, Some(1001)), dead, 1500), None);
        assert_eq!(verdict(carrier(1400, Some(1450)), dead, 1500), None);
        assert_eq!(verdict(dead, dead, 1500), None);
        assert_eq!(verdict(dead, all, 1500), Some(PmtuValue::Full));
        let router = "10.0.0.1".parse().unwrap();
        let said = |mtu, passes, fails| Carrier { reported: Some((mtu, router)), ..carrier(passes, fails) };
        assert_eq!(verdict(said(1400, 1400, None), dead, 1500), Some(PmtuValue::Reported));
        assert_eq!(verdict(said(1400, 1300, Some(1301)), dead, 1500), Some(PmtuValue::Blackhole));
    }
}
