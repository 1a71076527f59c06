//! Verifies sr25519 signatures: what schnorrkel 0.11 accepts under the context `substrate`, and
//! nothing else. A key that signs often gets a table of its multiples, which halves the work.
//!
//! Everything here is public (keys, messages, signatures), so times may depend on it. Nothing
//! secret may ever be computed with this code.
//!
//! The host writes key and signature at `input()` and the message at `message(length)`, and calls
//! `verify`. No export panics, whatever it is given.

use core::cell::RefCell;
use curve25519_dalek::{
    constants::RISTRETTO_BASEPOINT_POINT,
    ristretto::{CompressedRistretto, RistrettoPoint},
    scalar::Scalar,
    traits::Identity,
};
use merlin::Transcript;

/// Keys with a table, at most: as many as a subnet has neurons. A table takes 43.5 KB.
const SLOTS: usize = 256;
/// A message buffer larger than this is given back after use.
const KEPT_MESSAGE: usize = 64 * 1024;

/// Multiples of a point P: of P·2^(WIDTH·SPACING·t) for every t, the 1st to the 2^(WIDTH-1)th.
/// A scalar's digits that lie SPACING apart share a doubling; a larger SPACING makes a smaller table.
struct Comb<const WIDTH: usize, const SPACING: usize>(Vec<RistrettoPoint>);

type BaseComb = Comb<8, 1>;
type KeyComb = Comb<5, 3>;

impl<const WIDTH: usize, const SPACING: usize> Comb<WIDTH, SPACING> {
    const HALF: usize = 1 << (WIDTH - 1);
    /// Scalars are below 2^253, and the top digit takes a carry.
    const DIGITS: usize = 254usize.div_ceil(WIDTH);
    const TABLES: usize = Self::DIGITS.div_ceil(SPACING);

    fn new(point: RistrettoPoint) -> Self {
        let mut points = Vec::with_capacity(Self::TABLES * Self::HALF);
        let mut first = point;
        for _ in 0..Self::TABLES {
            let mut multiple = first;
            for _ in 0..Self::HALF {
                points.push(multiple);
                multiple += first;
            }
            for _ in 0..WIDTH * SPACING {
                first += first;
            }
        }
        Self(points)
    }

    /// Digits in -HALF..HALF, the least significant first; the rest are 0.
    fn digits(scalar: &Scalar) -> [i16; 64] {
        let mut bytes = [0u8; 34];
        bytes[..32].copy_from_slice(scalar.as_bytes());
        let mut digits = [0i16; 64];
        let mut carry = 0;
        for (i, digit) in digits.iter_mut().take(Self::DIGITS).enumerate() {
            let (byte, shift) = (i * WIDTH / 8, i * WIDTH % 8);
            let window = u16::from_le_bytes([bytes[byte], bytes[byte + 1]]) >> shift;
            let value = (window & ((1 << WIDTH) - 1)) as i16 + carry;
            carry = (value >= Self::HALF as i16) as i16;
            *digit = value - (carry << WIDTH);
        }
        digits
    }

    /// `scalar` times the point of the table.
    fn multiply(&self, scalar: &Scalar) -> RistrettoPoint {
        let digits = Self::digits(scalar);
        let mut sum = RistrettoPoint::identity();
        for phase in (0..SPACING).rev() {
            if phase + 1 < SPACING {
                for _ in 0..WIDTH {
                    sum += sum;
                }
            }
            for (table, points) in self.0.chunks_exact(Self::HALF).enumerate() {
                let digit = digits[table * SPACING + phase];
                if digit > 0 {
                    sum += points[digit as usize - 1];
                } else if digit < 0 {
                    sum -= points[-digit as usize - 1];
                }
            }
        }
        sum
    }
}

struct Slot {
    key: [u8; 32],
    comb: KeyComb,
}

struct State {
    /// Key (32 bytes), R (32), s (32).
    input: [u8; 96],
    message: Vec<u8>,
    /// The transcript after the context, which is the same for all.
    context: Transcript,
    base: Option<BaseComb>,
    slots: [Option<Slot>; SLOTS],
}

impl State {
    fn new() -> Self {
        let mut context = Transcript::new(b"SigningContext");
        context.append_message(b"", b"substrate");
        let slots = [const { None }; SLOTS];
        Self { input: [0; 96], message: Vec::new(), context, base: None, slots }
    }

    fn part(&self, index: usize) -> [u8; 32] {
        let mut part = [0; 32];
        part.copy_from_slice(&self.input[index * 32..index * 32 + 32]);
        part
    }

    fn challenge(&self, key: &[u8; 32], r: &[u8; 32]) -> Scalar {
        let mut transcript = self.context.clone();
        transcript.append_message(b"sign-bytes", &self.message);
        transcript.append_message(b"proto-name", b"Schnorr-sig");
        transcript.append_message(b"sign:pk", key);
        transcript.append_message(b"sign:R", r);
        let mut bytes = [0; 64];
        transcript.challenge_bytes(b"sign:c", &mut bytes);
        Scalar::from_bytes_mod_order_wide(&bytes)
    }

    fn verify(&self, slot: usize) -> Option<bool> {
        let (key, r, mut s) = (self.part(0), self.part(1), self.part(2));
        if s[31] & 0x80 == 0 {
            return None; // not marked as schnorrkel's
        }
        s[31] &= 0x7f;
        let s = Option::<Scalar>::from(Scalar::from_canonical_bytes(s))?;
        let known = self.slots.get(slot).and_then(Option::as_ref).filter(|known| known.key == key);
        let found = if let (Some(base), Some(known)) = (&self.base, known) {
            base.multiply(&s) + known.comb.multiply(&-self.challenge(&key, &r))
        } else {
            let point = CompressedRistretto(key).decompress()?;
            let minus_k = -self.challenge(&key, &r);
            RistrettoPoint::vartime_double_scalar_mul_basepoint(&minus_k, &point, &s)
        };
        // The encodings are compared, as schnorrkel does: an R that is not canonical is refused.
        Some(found.compress().0 == r)
    }

    fn learn(&mut self, slot: usize) -> Option<()> {
        let key = self.part(0);
        let place = self.slots.get_mut(slot)?;
        let point = CompressedRistretto(key).decompress()?;
        *place = None; // before the new table is made: its memory is used again
        *place = Some(Slot { key, comb: Comb::new(point) });
        self.base.get_or_insert_with(|| Comb::new(RISTRETTO_BASEPOINT_POINT));
        Some(())
    }
}

thread_local! {
    static STATE: RefCell<State> = RefCell::new(State::new());
}

/// How many slots there are.
#[no_mangle]
pub extern "C" fn slots() -> u32 {
    SLOTS as u32
}

/// Where key (32 bytes) and signature (64) go. It never moves.
#[no_mangle]
pub extern "C" fn input() -> *mut u8 {
    STATE.with_borrow_mut(|state| state.input.as_mut_ptr())
}

/// Where a message of `length` bytes goes until the next `verify`; 0 when there is no memory for it.
#[no_mangle]
pub extern "C" fn message(length: usize) -> *mut u8 {
    STATE.with_borrow_mut(|state| {
        state.message.clear();
        if state.message.try_reserve_exact(length).is_err() {
            return core::ptr::null_mut();
        }
        state.message.resize(length, 0);
        state.message.as_mut_ptr()
    })
}

/// 1 when the signature holds. `slot` may hold the key's table; any other number does without one.
#[no_mangle]
pub extern "C" fn verify(slot: usize) -> u32 {
    STATE.with_borrow_mut(|state| {
        let valid = state.verify(slot) == Some(true);
        if state.message.capacity() > KEPT_MESSAGE {
            state.message = Vec::new();
        }
        valid as u32
    })
}

/// Makes the table of the key at `input()` in `slot`, whatever was there. 1 when it did.
#[no_mangle]
pub extern "C" fn learn(slot: usize) -> u32 {
    STATE.with_borrow_mut(|state| state.learn(slot).is_some() as u32)
}
