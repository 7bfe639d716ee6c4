//! struct tcp_info (linux/tcp.h), as long as this kernel makes it.

/// Fields up to here exist in every kernel since 2.6.
const LEN_MIN: usize = 104;
/// What the kernel writes where no round trip was measured yet.
const NO_RTT: u32 = u32::MAX;

/// What TCP knows of one connection. A field the kernel is too old for is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// See [`super::state`].
    pub state: u8,
    /// 0 open, 1 disorder, 2 congestion window reduced, 3 recovery, 4 loss.
    pub congestion_state: u8,
    /// Retransmissions of the segment that is unanswered now.
    pub retransmits: u8,
    /// Zero-window and keep-alive probes unanswered now.
    pub probes: u8,
    /// How often the retransmit time was doubled.
    pub backoff: u8,
    /// TCPI_OPT_*: 1 timestamps, 2 SACK, 4 window scale, 8 ECN, 16 ECN seen, 32 data in the SYN.
    pub options: u8,
    pub rto_us: u32,
    pub send_segment_bytes: u32,
    pub receive_segment_bytes: u32,
    /// Segments in flight; for a listener the connections that wait for accept.
    pub unacked: u32,
    /// Segments selectively acknowledged; for a listener the places in its accept queue.
    pub sacked: u32,
    /// Segments thought lost now.
    pub lost: u32,
    /// Segments sent again and in flight now.
    pub retrans: u32,
    pub last_data_sent_ms: u32,
    pub last_data_received_ms: u32,
    pub last_ack_received_ms: u32,
    pub path_mtu: u32,
    pub rtt_us: u32,
    pub rtt_variation_us: u32,
    pub slow_start_threshold: u32,
    /// In segments.
    pub congestion_window: u32,
    pub advertised_segment_bytes: u32,
    pub reordering: u32,
    /// Segments sent again in all.
    pub total_retrans: u32,
    pub bytes_acked: u64,
    pub bytes_received: u64,
    pub segments_out: u32,
    pub segments_in: u32,
    /// Bytes the application wrote that were never sent.
    pub unsent_bytes: u32,
    /// Smallest round trip of the last minutes; 0 when none was measured.
    pub min_rtt_us: u32,
    pub data_segments_in: u32,
    pub data_segments_out: u32,
    /// Bytes per second.
    pub delivery_rate: u64,
    /// Microseconds with data to send.
    pub busy_us: u64,
    /// Microseconds stopped by the peer's window.
    pub window_limited_us: u64,
    /// Microseconds stopped by the own send buffer.
    pub buffer_limited_us: u64,
    pub bytes_sent: u64,
    pub bytes_retransmitted: u64,
    /// Segments out of order that came.
    pub out_of_order: u32,
    /// The window the peer last advertised, in bytes.
    pub send_window: u32,
    /// Retransmit timeouts in all.
    pub total_timeouts: u16,
}

/// Reads a tcp_info; `None` when it is shorter than any kernel's.
pub fn parse_tcp_info(value: &[u8]) -> Option<TcpInfo> {
    let head = value.first_chunk::<LEN_MIN>()?;
    let word = |at: usize| {
        value.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    };
    let wide = |at: usize| {
        value.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    };
    let timeouts =
        value.get(240..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u16::from_ne_bytes(*bytes));
    Some(TcpInfo {
        state: head[0],
        congestion_state: head[1],
        retransmits: head[2],
        probes: head[3],
        backoff: head[4],
        options: head[5],
        rto_us: word(8),
        send_segment_bytes: word(16),
        receive_segment_bytes: word(20),
        unacked: word(24),
        sacked: word(28),
        lost: word(32),
        retrans: word(36),
        last_data_sent_ms: word(44),
        last_data_received_ms: word(52),
        last_ack_received_ms: word(56),
        path_mtu: word(60),
        rtt_us: word(68),
        rtt_variation_us: word(72),
        slow_start_threshold: word(76),
        congestion_window: word(80),
        advertised_segment_bytes: word(84),
        reordering: word(88),
        total_retrans: word(100),
        bytes_acked: wide(120),
        bytes_received: wide(128),
        segments_out: word(136),
        segments_in: word(140),
        unsent_bytes: word(144),
        min_rtt_us: if word(148) == NO_RTT { 0 } else { word(148) },
        data_segments_in: word(152),
        data_segments_out: word(156),
        delivery_rate: wide(160),
        busy_us: wide(168),
        window_limited_us: wide(176),
        buffer_limited_us: wide(184),
        bytes_sent: wide(200),
        bytes_retransmitted: wide(208),
        out_of_order: word(224),
        send_window: word(228),
        total_timeouts: timeouts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_old_kernel_gives_less() {
        let mut bytes = vec![1; LEN_MIN];
        let info = parse_tcp_info(&bytes).unwrap();
        assert_eq!((info.total_retrans, info.bytes_acked), (0x0101_0101, 0));
        bytes.extend([2; 24]);
        assert_eq!(parse_tcp_info(&bytes).unwrap().bytes_acked, 0x0202_0202_0202_0202);
        assert_eq!(parse_tcp_info(&[0; LEN_MIN - 1]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(parse_tcp_info(&bytes).is_some(), bytes.len() >= LEN_MIN);
        }
    }
}
