//! What a client saw: which requests were answered, when, and the longest time without an answer.

use std::time::Duration;

use locum_types::Instant;

/// One request and its fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// When it was sent.
    pub sent_at: Instant,
    /// When its answer came, if it did.
    pub answered_at: Option<Instant>,
}

/// The end of a connection that its client did not want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The client's port.
    pub port: u16,
    /// When the connection was established, if it ever was.
    pub opened_at: Option<Instant>,
    /// When it was gone.
    pub at: Instant,
    /// Who ended it.
    pub how: LossKind,
}

/// Who ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossKind {
    /// The server reset it, or closed it unasked.
    Ended,
    /// The client, which had waited for too long.
    GivenUp,
}

/// A stream as only two nodes can make it: the answers of both, mixed; or the byte of a keep-alive, which means
/// nothing (RFC 1122 §4.2.3.6) but to a node that knows less than the client.
#[derive(Clone, Debug)]
pub struct Garbled {
    /// When the client noticed.
    pub at: Instant,
    /// When the connection had been opened.
    pub opened_at: Instant,
    /// What it noticed.
    pub what: String,
}

/// The record of one program.
#[derive(Clone, Debug)]
pub struct Record {
    program: &'static str,
    requests: Vec<Request>,
    answers: Vec<Instant>,
    connections_lost: Vec<Instant>,
    losses: Vec<Loss>,
    connections_opened: Vec<Instant>,
    corrupt: Vec<(Instant, String)>,
    garbled: Vec<Garbled>,
    duplicates: u64,
}

impl Record {
    /// The empty record of a kind of program.
    pub fn new(program: &'static str) -> Self {
        Record {
            program,
            requests: Vec::new(),
            answers: Vec::new(),
            connections_lost: Vec::new(),
            losses: Vec::new(),
            connections_opened: Vec::new(),
            corrupt: Vec::new(),
            garbled: Vec::new(),
            duplicates: 0,
        }
    }

    /// Notes a request; returns its sequence number.
    pub fn sent(&mut self, now: Instant) -> u64 {
        self.requests.push(Request { sent_at: now, answered_at: None });
        self.requests.len() as u64 - 1
    }

    /// Notes an answer; ones to no request of ours are ignored.
    pub fn answered(&mut self, now: Instant, sequence: Option<u64>) {
        let index = sequence.and_then(|sequence| usize::try_from(sequence).ok());
        let Some(request) = index.and_then(|index| self.requests.get_mut(index)) else { return };
        if request.answered_at.is_some() {
            self.duplicates += 1;
            return;
        }
        request.answered_at = Some(now);
        self.answers.push(now);
    }

    /// Notes that a connection is gone.
    pub fn connection_lost(&mut self, now: Instant) {
        self.lost(Loss { port: 0, opened_at: None, at: now, how: LossKind::Ended });
    }

    /// Notes that a connection is gone, and how.
    pub fn lost(&mut self, loss: Loss) {
        self.connections_lost.push(loss.at);
        self.losses.push(loss);
    }

    /// Notes that a connection is established.
    pub fn connection_opened(&mut self, now: Instant) {
        self.connections_opened.push(now);
    }

    /// Notes that a stream is not what it must be.
    pub fn corrupt(&mut self, now: Instant, what: String) {
        self.corrupt.push((now, what));
    }

    /// Notes that two nodes have spoken on a connection that was opened at `opened_at`.
    pub fn garble(&mut self, now: Instant, opened_at: Instant, what: String) {
        self.garbled.push(Garbled { at: now, opened_at, what });
    }

    /// The kind of program.
    pub fn program(&self) -> &'static str {
        self.program
    }

    /// Every request, in the order sent.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// How many requests were answered.
    pub fn answered_count(&self) -> usize {
        self.answers.len()
    }

    /// When answers came, in order.
    pub fn answers(&self) -> &[Instant] {
        &self.answers
    }

    /// Requests sent in `from..to`.
    pub fn sent_between(&self, from: Instant, to: Instant) -> usize {
        self.requests_between(from, to).count()
    }

    /// Requests sent in `from..to` that were never answered.
    pub fn lost_between(&self, from: Instant, to: Instant) -> usize {
        self.requests_between(from, to).filter(|request| request.answered_at.is_none()).count()
    }

    fn requests_between(&self, from: Instant, to: Instant) -> impl Iterator<Item = &Request> {
        self.requests.iter().filter(move |request| request.sent_at >= from && request.sent_at < to)
    }

    /// Answers that came twice.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// When connections were lost.
    pub fn connections_lost(&self) -> &[Instant] {
        &self.connections_lost
    }

    /// The connections that were lost, and how.
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// When connections were established.
    pub fn connections_opened(&self) -> &[Instant] {
        &self.connections_opened
    }

    /// Where streams were not what they must be: bytes that were changed, lost or invented.
    pub fn corruptions(&self) -> &[(Instant, String)] {
        &self.corrupt
    }

    /// Where streams were what they can only be if two nodes have spoken that did not know of each other.
    pub fn garbled(&self) -> &[Garbled] {
        &self.garbled
    }

    /// The longest time without an answer that overlaps `from..to`, and when it began.
    ///
    /// `None` if no answer came before `to`; a silence that lasts until `to` counts up to `to`.
    pub fn longest_gap_between(&self, from: Instant, to: Instant) -> Option<(Instant, Duration)> {
        let before = self.answers.partition_point(|&at| at < from).saturating_sub(1);
        let window = self.answers.get(before..)?.iter().copied().take_while(|&at| at < to);
        let ends = window.clone().skip(1).chain([to]);
        window.zip(ends).map(|(start, end)| (start, end - start)).max_by_key(|&(_, gap)| gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record_of(answers: &[u64]) -> Record {
        let mut record = Record::new("test");
        for &at in answers {
            let sequence = record.sent(Instant::from_millis(at));
            record.answered(Instant::from_millis(at), Some(sequence));
        }
        record
    }

    #[test]
    fn the_longest_gap_is_found_with_its_start() {
        let record = record_of(&[0, 10, 20, 90, 100]);
        let gap = record.longest_gap_between(Instant::ZERO, Instant::from_millis(101));
        assert_eq!(gap, Some((Instant::from_millis(20), Duration::from_millis(70))));
    }

    #[test]
    fn a_gap_that_began_before_the_window_counts_whole() {
        let record = record_of(&[0, 10, 90, 100]);
        let gap = record.longest_gap_between(Instant::from_millis(50), Instant::from_millis(101));
        assert_eq!(gap, Some((Instant::from_millis(10), Duration::from_millis(80))));
    }

    #[test]
    fn silence_to_the_end_counts() {
        let record = record_of(&[0, 10]);
        let gap = record.longest_gap_between(Instant::ZERO, Instant::from_millis(500));
        assert_eq!(gap, Some((Instant::from_millis(10), Duration::from_millis(490))));
    }

    #[test]
    fn answers_to_nothing_and_twice_are_not_answers() {
        let mut record = record_of(&[0]);
        record.answered(Instant::from_millis(1), Some(0));
        record.answered(Instant::from_millis(1), Some(7));
        record.answered(Instant::from_millis(1), None);
        assert_eq!((record.answered_count(), record.duplicates()), (1, 1));
    }
}
