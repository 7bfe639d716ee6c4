//! pcapng files (draft-ietf-opsawg-pcapng): sections of either byte order, interfaces, packets.

use crate::link::Way;
use crate::pcap::{CaptureError, Captured, PACKET_BYTES_MAX, Step};
use crate::take::Order;

/// The type of a section header block: the same in both byte orders.
pub(crate) const SECTION_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// Interfaces kept of one section.
const INTERFACE_COUNT_MAX: usize = 65_536;
/// Options read of one block.
const OPTION_COUNT_MAX: usize = 256;
/// The longest name kept of an interface, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Type and length before a block's body, and the length again behind it.
const BLOCK_HEAD_BYTES: usize = 8;
const BLOCK_FRAME_BYTES: usize = 12;
/// A block that is needed whole may be this long: a packet and its options, in bytes.
const BLOCK_BYTES_MAX: usize = PACKET_BYTES_MAX + (64 << 10);

const BLOCK_INTERFACE: u32 = 1;
const BLOCK_PACKET: u32 = 2;
const BLOCK_SIMPLE_PACKET: u32 = 3;
const BLOCK_ENHANCED_PACKET: u32 = 6;

const OPTION_NAME: u16 = 2;
const OPTION_FLAGS: u16 = 2;
const OPTION_RESOLUTION: u16 = 9;
const OPTION_OFFSET: u16 = 14;

/// A pcapng file.
#[derive(Debug, Clone, Default)]
pub struct Pcapng {
    order: Option<Order>,
    interfaces: Vec<Interface>,
    /// Of the last packet that had a time.
    time_ns: i64,
}

#[derive(Debug, Clone)]
struct Interface {
    link_type: u32,
    /// Packets are cut to this length; 0 when they are not.
    kept_bytes_max: usize,
    name: Option<Box<str>>,
    clock: Clock,
}

/// How an interface counts time.
#[derive(Debug, Clone, Copy)]
struct Clock {
    ticks_per_second: u64,
    offset_s: i64,
}

impl Default for Clock {
    fn default() -> Clock {
        Clock { ticks_per_second: 1_000_000, offset_s: 0 }
    }
}

impl Clock {
    fn time_ns(self, high: u32, low: u32) -> i64 {
        let ticks = u128::from(high) << 32 | u128::from(low);
        let time_ns = ticks * 1_000_000_000 / u128::from(self.ticks_per_second.max(1));
        let time_ns = i64::try_from(time_ns).unwrap_or(i64::MAX);
        time_ns.saturating_add(self.offset_s.saturating_mul(1_000_000_000))
    }

    /// if_tsresol: a power of ten, or of two when the top bit is set.
    fn set_resolution(&mut self, value: u8) {
        let power = u32::from(value & 0x7f);
        let base = if value & 0x80 == 0 { 10_u64 } else { 2 };
        self.ticks_per_second = base.checked_pow(power).unwrap_or(u64::MAX);
    }
}

impl Pcapng {
    pub(crate) fn interface_name(&self, number: u32) -> Option<&str> {
        self.interfaces.get(number as usize)?.name.as_deref()
    }

    pub(crate) fn step<'a>(&mut self, bytes: &'a [u8]) -> Step<'a> {
        let Some(head) = bytes.get(..BLOCK_FRAME_BYTES) else { return Step::Need(BLOCK_FRAME_BYTES) };
        if head.starts_with(&SECTION_MAGIC) {
            return self.section(head);
        }
        let Some(order) = self.order else { return Step::Bad(0, CaptureError::Magic) };
        let (kind, length) = (order.u32(head, 0), order.u32(head, 4));
        let end = length as usize;
        if end < BLOCK_FRAME_BYTES {
            return Step::Bad(0, CaptureError::Block(length));
        }
        let end = end.next_multiple_of(4);
        if !matches!(kind, BLOCK_INTERFACE | BLOCK_PACKET | BLOCK_SIMPLE_PACKET | BLOCK_ENHANCED_PACKET) {
            return Step::Skip(end as u64);
        }
        if end > BLOCK_BYTES_MAX {
            return Step::Bad(end as u64, CaptureError::Block(length));
        }
        let Some(block) = bytes.get(..end) else { return Step::Need(end) };
        if order.u32(block, end - 4) != length {
            // The length behind the block must repeat the one before it: else the chain of blocks is broken.
            return Step::Bad(0, CaptureError::Block(length));
        }
        let body = block.get(BLOCK_HEAD_BYTES..end - 4).unwrap_or_default();
        let outcome = match kind {
            BLOCK_INTERFACE => return self.interface(order, body, end),
            BLOCK_SIMPLE_PACKET => self.simple(order, body),
            _ => self.packet(order, body, kind == BLOCK_ENHANCED_PACKET),
        };
        match outcome {
            Ok(captured) => Step::Packet(end, captured),
            Err(error) => Step::Bad(end as u64, error),
        }
    }

    /// A section may change the byte order, and starts with no interfaces.
    fn section<'a>(&mut self, head: &[u8]) -> Step<'a> {
        let order = match head.get(8..12) {
            Some([0x1a, 0x2b, 0x3c, 0x4d]) => Order::Big,
            Some([0x4d, 0x3c, 0x2b, 0x1a]) => Order::Little,
            _ => return Step::Bad(0, CaptureError::Magic),
        };
        let length = order.u32(head, 4);
        if length < 28 {
            return Step::Bad(0, CaptureError::Block(length));
        }
        self.order = Some(order);
        self.interfaces.clear();
        Step::Skip(u64::from(length).next_multiple_of(4))
    }

    fn interface<'a>(&mut self, order: Order, body: &[u8], end: usize) -> Step<'a> {
        if body.len() < 8 {
            return Step::Bad(end as u64, CaptureError::Short);
        }
        if self.interfaces.len() >= INTERFACE_COUNT_MAX {
            return Step::Bad(end as u64, CaptureError::Interfaces(INTERFACE_COUNT_MAX));
        }
        let mut interface = Interface {
            link_type: u32::from(order.u16(body, 0)),
            kept_bytes_max: order.u32(body, 4) as usize,
            name: None,
            clock: Clock::default(),
        };
        for (code, value) in options(order, body.get(8..).unwrap_or_default()) {
            match code {
                OPTION_NAME => interface.name = Some(name(value)),
                OPTION_RESOLUTION => {
                    interface.clock.set_resolution(value.first().copied().unwrap_or(6));
                }
                OPTION_OFFSET => interface.clock.offset_s = order.u64(value, 0).cast_signed(),
                _ => {}
            }
        }
        self.interfaces.push(interface);
        Step::Skip(end as u64)
    }

    /// An enhanced packet block, or the packet block it replaced, whose interface has 16 bits.
    fn packet<'a>(
        &mut self,
        order: Order,
        body: &'a [u8],
        enhanced: bool,
    ) -> Result<Captured<'a>, CaptureError> {
        let number = if enhanced { order.u32(body, 0) } else { u32::from(order.u16(body, 0)) };
        let interface = self.interfaces.get(number as usize).ok_or(CaptureError::Interface(number))?;
        let kept = order.u32(body, 12) as usize;
        let rest = body.get(20..).ok_or(CaptureError::Short)?;
        let bytes = rest.get(..kept).ok_or(CaptureError::Short)?;
        let flags = options(order, rest.get(kept.next_multiple_of(4)..).unwrap_or_default())
            .find(|(code, _)| *code == OPTION_FLAGS)
            .map_or(0, |(_, value)| order.u32(value, 0));
        self.time_ns = interface.clock.time_ns(order.u32(body, 4), order.u32(body, 8));
        Ok(Captured {
            time_ns: self.time_ns,
            link_type: interface.link_type,
            interface: number,
            way: match flags & 3 {
                1 => Way::In,
                2 => Way::Out,
                _ => Way::Unknown,
            },
            bytes,
        })
    }

    /// A simple packet block: of the first interface, without a time; it came no earlier than the packet before it.
    fn simple<'a>(&self, order: Order, body: &'a [u8]) -> Result<Captured<'a>, CaptureError> {
        let interface = self.interfaces.first().ok_or(CaptureError::Interface(0))?;
        let length = order.u32(body, 0) as usize;
        let rest = body.get(4..).ok_or(CaptureError::Short)?;
        let limit = if interface.kept_bytes_max == 0 { usize::MAX } else { interface.kept_bytes_max };
        let bytes = rest.get(..length.min(limit)).ok_or(CaptureError::Short)?;
        let (time_ns, way) = (self.time_ns, Way::Unknown);
        Ok(Captured { time_ns, link_type: interface.link_type, interface: 0, way, bytes })
    }
}

/// Walks the options of a block; ends at the first that does not fit.
fn options(order: Order, bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (code, length) = (order.u16(rest, 0), usize::from(order.u16(rest, 2)));
        let value = rest.get(4..4 + length)?;
        rest = rest.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
        (code != 0).then_some((code, value))
    })
    .take(OPTION_COUNT_MAX)
}

fn name(value: &[u8]) -> Box<str> {
    let value = value.split(|byte| *byte == 0).next().unwrap_or_default();
    let cut = &value[..value.len().min(NAME_BYTES_MAX)];
    String::from_utf8_lossy(cut).replace(char::is_control, "·").into()
}
