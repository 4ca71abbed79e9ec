//! UDP datagrams out of captured packets: link layers, IP, and fragments put together.
//!
//! Links: Ethernet with VLAN tags, raw IP, Linux "cooked" captures of both kinds, and the null and loop links of BSD. IPv4 (RFC 791) and IPv6
//! (RFC 8200), parsed and put together by `etherparse`. A datagram whose fragments do not all come within [`PATIENCE`] is given up.

use std::cell::Cell;
use std::net::IpAddr;

use etherparse::defrag::IpDefragPool;
use etherparse::{EtherType, IpNumber, NetSlice, SlicedPacket, TransportSlice, UdpSlice};

use super::cloud::Problems;
use super::records::{Record, Records};
use crate::error::Error;

/// How long fragments wait for those that are missing (ns).
const PATIENCE: u64 = 1_000_000_000;

/// For how many packets they wait: that many may be in the making, of 64 KiB each.
const PACKETS: u64 = 512;

/// Where a datagram came from and went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) source: IpAddr,
    pub(super) port: u16,
}

/// What is known of a datagram besides its payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram {
    /// Offset in the file of the record that completed it.
    pub(super) offset: u64,
    /// When that was captured (ns since 1970).
    pub(super) time_ns: Option<i64>,
    pub(super) route: Route,
}

/// When the last fragment of a datagram came.
#[derive(Clone, Copy, Debug)]
struct Since {
    packet: u64,
    time_ns: i64,
    offset: u64,
}

/// The datagrams of a capture file.
pub(super) struct Datagrams {
    records: Records,
    packet: Vec<u8>,
    pool: IpDefragPool<Since>,
    /// Packets so far.
    count: u64,
}

impl Datagrams {
    pub(super) fn new(records: Records) -> Datagrams {
        Datagrams { records, packet: Vec::new(), pool: IpDefragPool::new(), count: 0 }
    }

    /// Packets so far.
    pub(super) fn packets(&self) -> u64 {
        self.count
    }

    /// The next datagram; its payload is put into `payload`. What breaks on the way is a problem.
    ///
    /// # Errors
    /// See [`Records::next`].
    pub(super) fn next(&mut self, payload: &mut Vec<u8>, problems: &mut Problems) -> Result<Option<Datagram>, Error> {
        loop {
            let Some(record) = self.records.next(&mut self.packet)? else {
                self.give_up(problems, |_| false);
                return Ok(None);
            };
            self.count += 1;
            if (self.packet.len() as u64) < record.length {
                let found = format!("a packet of {} bytes cut to {}", record.length, self.packet.len());
                problems.malformed(record.offset, || found);
                continue;
            }
            match self.datagram(&record, payload, problems) {
                Ok(Some(route)) => {
                    return Ok(Some(Datagram { offset: record.offset, time_ns: record.time_ns, route }));
                }
                Ok(None) => {}
                Err(found) => problems.malformed(record.offset, || found),
            }
        }
    }

    /// The datagram that a packet is, or completes.
    fn datagram(
        &mut self,
        record: &Record,
        payload: &mut Vec<u8>,
        problems: &mut Problems,
    ) -> Result<Option<Route>, String> {
        let since = Since { packet: self.count, time_ns: record.time_ns.unwrap_or_default(), offset: record.offset };
        let Some(sliced) = sliced(record.link, &self.packet) else {
            problems.link(record.link);
            return Ok(None);
        };
        let sliced = sliced.map_err(|error| format!("a packet that breaks its headers ({error})"))?;
        let source = match &sliced.net {
            Some(NetSlice::Ipv4(ip)) => IpAddr::from(ip.header().source_addr()),
            Some(NetSlice::Ipv6(ip)) => IpAddr::from(ip.header().source_addr()),
            _ => return Ok(None),
        };
        let mut take = |udp: &UdpSlice| {
            payload.clear();
            payload.extend_from_slice(udp.payload());
            Some(Route { source, port: udp.destination_port() })
        };
        if !sliced.is_ip_payload_fragmented() {
            return Ok(match &sliced.transport {
                Some(TransportSlice::Udp(udp)) => take(udp),
                _ => None,
            });
        }
        // Only what is not older than this packet by much is put together with it: numbers of datagrams are used again.
        let young =
            |then: &Since| since.packet - then.packet < PACKETS && since.time_ns.abs_diff(then.time_ns) < PATIENCE;
        let dropped = expire(&mut self.pool, young);
        let put = self.pool.process_sliced_packet(&sliced, since, ());
        unfinished(dropped, problems);
        let Some(whole) = put.map_err(|error| format!("a fragment that does not fit ({error})"))? else {
            return Ok(None);
        };
        let udp = (whole.ip_number == IpNumber::UDP).then(|| UdpSlice::from_slice(&whole.payload));
        let route = match udp {
            Some(Ok(udp)) => Ok(take(&udp)),
            Some(Err(error)) => Err(format!("a datagram that breaks its header ({error})")),
            None => Ok(None),
        };
        self.pool.return_buf(whole);
        route
    }

    /// Gives up datagrams in the making, but those to keep.
    fn give_up(&mut self, problems: &mut Problems, keep: impl Fn(&Since) -> bool) {
        unfinished(expire(&mut self.pool, keep), problems);
    }
}

/// Drops datagrams in the making, but those to keep: how many, and where the last fragment of one of them stood.
fn expire(pool: &mut IpDefragPool<Since>, keep: impl Fn(&Since) -> bool) -> Vec<u64> {
    let dropped = Cell::new(Vec::new());
    pool.retain(|since| {
        let keeps = keep(since);
        if !keeps {
            let mut offsets = dropped.take();
            offsets.push(since.offset);
            dropped.set(offsets);
        }
        keeps
    });
    let mut offsets = dropped.into_inner();
    offsets.sort_unstable();
    // The pool asks for some of them twice.
    offsets.dedup();
    offsets
}

fn unfinished(offsets: Vec<u64>, problems: &mut Problems) {
    offsets.into_iter().for_each(|offset| problems.malformed(offset, || "a datagram without all its fragments".into()));
}

type Sliced<'a> = Result<SlicedPacket<'a>, etherparse::err::packet::SliceError>;

/// The headers of a packet of a link type, by its number at <https://www.tcpdump.org/linktypes.html>; `None` for a link that is not read.
fn sliced(link: i32, packet: &[u8]) -> Option<Sliced<'_>> {
    let ip = |packet| SlicedPacket::from_ip(packet);
    Some(match link {
        1 => SlicedPacket::from_ethernet(packet),
        113 => SlicedPacket::from_linux_sll(packet),
        276 => match packet.split_at_checked(20) {
            Some((header, rest)) => {
                SlicedPacket::from_ether_type(EtherType(u16::from_be_bytes([header[0], header[1]])), rest)
            }
            None => ip(&[]),
        },
        0 | 108 => ip(packet.get(4..).unwrap_or(&[])),
        12 | 14 | 101 | 228 | 229 => ip(packet),
        _ => return None,
    })
}
