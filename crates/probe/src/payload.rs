//! Question "payload": what happens to the first bytes after the handshake.
//!
//! A finding is made twice before it is told: a second connection says the same bytes while the first waits.

mod banner;
mod exchange;
pub(crate) mod speak;

use crate::connect::Connected;
use crate::connect::attempt::Plan;
use crate::control::hops::{Hops, Place};
use crate::local::counters::Counters;
use crate::tap::{Seen, Tap, bad_checksums, flow};
use exchange::{Exchange, Met, Script, exchange};
use netwhy_model::{Case, Evidence, Link, Stamp};
use speak::{Kind, Variant};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const COLLECTOR: &str = "tcp.payload";
/// A service that has something to say says it within this.
const WAIT: Duration = Duration::from_millis(2_800);
/// The confirming connection starts when the first has had no answer for so long.
const PATIENCE: Duration = Duration::from_millis(400);
/// Bytes that went through are acknowledged, and reset if at all, within this.
const WAIT_SHORT: Duration = Duration::from_millis(1_400);
/// Time for a server that closes before we speak, beside two round trips.
const LISTEN: Duration = Duration::from_millis(12);

/// Sends the natural first bytes of the target and watches what they meet. At most 4.5 s.
pub async fn payload(case: &Case, address: SocketAddr, connected: &Connected) -> Vec<Evidence> {
    let at = Stamp::from(SystemTime::now());
    let mut tap = Tap::open(&[address.ip()]).ok();
    let before = Counters::read();
    let asker = Asker {
        case,
        address,
        kind: Kind::of(case, address),
        plan: Plan::new(&Arc::new(case.source.clone())),
        rtt: Duration::from_micros((connected.rtt_ms.unwrap_or(10.0) * 1e3) as u64),
        at,
    };
    let (mut first, mut second) = asker.twice().await;
    let mut facts = Vec::new();
    if first.met == Met::NoHandshake {
        return facts;
    }
    // Whether an end comes as FIN or RST, a moment before or after our bytes, is a matter of microseconds.
    if let Some(other) = second.as_mut()
        && other.met != first.met
        && other.met.is_end()
        && first.met.is_end()
    {
        if other.met.is_first() && !first.met.is_first() {
            std::mem::swap(&mut first, other);
        }
        other.met = first.met;
    }
    let agree = second.as_ref().is_none_or(|second| second.met == first.met);
    if agree {
        facts.extend(asker.follow_up(&first).await);
    }
    let seen = tap.as_mut().map(Tap::drain);
    if agree {
        facts.extend(asker.main(&first, seen));
        facts.extend(asker.reset_ttl(&first, seen));
    }
    let counted = Counters::read().since(&before).bad_checksums();
    if let Some((value @ "seen", text)) = bad_checksums(seen, &[address.ip()], counted) {
        facts.push(asker.fact("source.bad_checksums", value, Link::Path, text));
    }
    facts.extend(banner::banner(&asker, &first, second.as_ref()));
    facts.extend(asker.syn_ack_again(&first, second.as_ref(), seen));
    facts
}

/// What is asked, and of whom.
struct Asker<'a> {
    case: &'a Case,
    address: SocketAddr,
    kind: Kind,
    plan: Plan,
    rtt: Duration,
    at: Stamp,
}

impl Asker<'_> {
    fn fact(&self, fact: &str, value: &str, link: Link, excerpt: impl Into<String>) -> Evidence {
        Evidence::seen(fact, value, link, self.at, COLLECTOR, excerpt)
    }

    fn script(&self, variant: Variant, wait: Duration) -> Script {
        let greeting = self.kind == Kind::Greeting;
        Script {
            plan: self.plan.clone(),
            address: self.address,
            listen: if greeting { WAIT } else { LISTEN + self.rtt * 2 },
            bytes: speak::bytes(self.kind, variant, self.case),
            wait: if greeting { WAIT_SHORT } else { wait },
            greeting,
        }
    }

    /// One exchange; a second one joins in when the first is not answered soon or ends badly.
    async fn twice(&self) -> (Exchange, Option<Exchange>) {
        let wait = if self.kind.reply_due() { WAIT } else { WAIT_SHORT };
        let script = self.script(Variant::Real, wait);
        let mut first = tokio::spawn(exchange(script.clone()));
        let early = tokio::time::timeout(PATIENCE + self.rtt * 4, &mut first).await;
        if let Ok(Ok(done)) = &early
            && done.met == Met::Answered
            && !banner::suspicious(done)
        {
            return (done.clone(), None);
        }
        let second = exchange(script).await;
        let first = match early {
            Ok(done) => done.ok(),
            Err(_) => first.await.ok(),
        };
        match first {
            // Where only one of two handshakes passed, that one tells of the bytes.
            Some(first) if first.met == Met::NoHandshake => (second, None),
            Some(first) if second.met == Met::NoHandshake => (first, None),
            Some(first) => (first, Some(second)),
            None => (second, None),
        }
    }

    fn main(&self, first: &Exchange, seen: Option<&[Seen]>) -> Option<Evidence> {
        let value = match first.met {
            Met::NoHandshake => return None,
            Met::Answered => "answered",
            Met::ClosedFirst => "closed_first",
            Met::ResetFirst => "reset_first",
            // A service of unknown protocol may close on bytes it does not understand.
            Met::Closed | Met::Reset if !self.kind.reply_due() => return None,
            Met::Closed => "closed",
            Met::Reset => "reset",
            Met::Unacked => "unacked",
            Met::ZeroWindow => "zero_window",
            Met::AckedSilent if !self.kind.reply_due() => return None,
            Met::AckedSilent => "acked_silent",
        };
        let view = match (seen, first.local) {
            (Some(seen), Some(local)) => Some(flow(seen, local, self.address, first.started_ns)),
            _ => None,
        };
        let sent = view.map_or(String::new(), |v| {
            let times = v.data_out.len();
            format!(", {times} segments out, {} bytes in", v.bytes_in)
        });
        let text = format!(
            "{:?} bytes to {} → {value} after {:.1} ms{sent}, {} retransmissions, {} unacknowledged",
            self.kind, self.address, first.took_ms, first.info.total_retrans, first.info.unacked
        );
        let fact = self.fact("tcp.payload", value, Link::Service, text);
        let silent = matches!(first.met, Met::Unacked | Met::AckedSilent | Met::ZeroWindow);
        Some(if silent { fact.unanswered() } else { fact })
    }

    fn reset_ttl(&self, first: &Exchange, seen: Option<&[Seen]>) -> Option<Evidence> {
        let fact =
            |value: &str, text: String| Some(self.fact("tcp.payload_rst_ttl", value, Link::Path, text));
        if !matches!(first.met, Met::Reset | Met::ResetFirst) {
            return fact("none", "no RST after our bytes".to_owned());
        }
        let Some(seen) = seen else {
            let why = crate::connect::NEEDS_RAW;
            return Some(Evidence::unread("tcp.payload_rst_ttl", Link::Path, self.at, COLLECTOR, why));
        };
        let view = flow(seen, first.local?, self.address, first.started_ns);
        let (rst, syn_ack) = (view.resets.first()?.segment.ttl, view.syn_acks.first()?.segment.ttl);
        let same = Hops::of(rst).beside(Hops::of(syn_ack)) == Place::Same;
        fact(if same { "same" } else { "differs" }, format!("RST TTL {rst}, SYN-ACK TTL {syn_ack}"))
    }

    /// Harmless bytes where the real ones fail; long ones where short ones pass.
    async fn follow_up(&self, first: &Exchange) -> Vec<Evidence> {
        match first.met {
            Met::Reset | Met::Unacked if self.kind.reply_due() => {
                self.benign(first).await.into_iter().collect()
            }
            Met::Answered => {
                let none =
                    self.fact("tcp.payload_benign", "not_needed", Link::Path, "the real bytes are answered");
                let mut facts = vec![none];
                if self.kind.has_large() && self.case.body_bytes.is_none() {
                    facts.extend(self.large().await);
                }
                facts
            }
            Met::AckedSilent if first.info.out_of_order > 0 && first.answer.is_empty() => {
                let text = format!("{} segments after a gap, the first never came", first.info.out_of_order);
                vec![self.fact("tcp.payload_large", "large_stalls", Link::Path, text)]
            }
            _ => Vec::new(),
        }
    }

    async fn benign(&self, first: &Exchange) -> Option<Evidence> {
        let (other, blank) = tokio::join!(
            exchange(self.script(Variant::OtherName, WAIT_SHORT)),
            exchange(self.script(Variant::Blank, WAIT_SHORT))
        );
        let passes = |e: &Exchange| match first.met {
            // Incomplete bytes may just be waited on: only a whole other request speaks against a reset.
            Met::Reset => matches!(e.met, Met::Answered | Met::AckedSilent | Met::Closed),
            _ => matches!(e.met, Met::Answered | Met::AckedSilent | Met::Closed | Met::Reset),
        };
        let pass =
            passes(&other) || blank.met == Met::Answered || (first.met == Met::Unacked && passes(&blank));
        let text = format!("another name: {:?}; four blank bytes: {:?}", other.met, blank.met);
        Some(self.fact("tcp.payload_benign", if pass { "passes" } else { "same" }, Link::Path, text))
    }

    async fn large(&self) -> Option<Evidence> {
        let length = speak::bytes(self.kind, Variant::Large, self.case).len();
        let large = exchange(self.script(Variant::Large, WAIT_SHORT)).await;
        let fact = |value, text| Some(self.fact("tcp.payload_large", value, Link::Path, text));
        if large.met != Met::Unacked {
            // Refusing the longer request is an answer as well.
            let settled = !matches!(large.met, Met::NoHandshake | Met::ZeroWindow);
            return settled.then(|| fact("same", format!("{length} bytes: {:?}", large.met))).flatten();
        }
        let again = exchange(self.script(Variant::Large, WAIT_SHORT)).await;
        (again.met == Met::Unacked)
            .then(|| {
                fact(
                    "large_stalls",
                    format!("{length} bytes twice: not acknowledged; the short request is answered"),
                )
            })
            .flatten()
    }

    fn syn_ack_again(
        &self,
        first: &Exchange,
        second: Option<&Exchange>,
        seen: Option<&[Seen]>,
    ) -> Option<Evidence> {
        let seen = seen?;
        // Bytes follow our ACK at once, so a single lost ACK does not bring the SYN-ACK back.
        let again = [Some(first), second].into_iter().flatten().all(|e| {
            e.local.is_some_and(|local| flow(seen, local, self.address, e.started_ns).syn_ack_again())
        });
        if again {
            return Some(self.fact(
                "tcp.synack_again",
                "yes",
                Link::Socket,
                "SYN-ACK again after our ACK and bytes",
            ));
        }
        // An answer proves that the connection was accepted; silence shorter than a SYN-ACK timer proves nothing.
        let settled = first.met == Met::Answered || first.took_ms >= WAIT_SHORT.as_secs_f64() * 1e3;
        settled.then(|| self.fact("tcp.synack_again", "no", Link::Socket, "one SYN-ACK"))
    }
}
