//! What C hands over: pointers, wrapped as what they are said to point to. Whoever uses one of these asks it for the
//! bytes, and gets a failure where there are none.
//!
//! None of them can be made in Rust: each came through an exported function, whose caller promises what `splinter.h`
//! says. A pointer is NULL or leads to what its parameter is said to be, for the length that is said beside it and
//! until the function returns; a string ends. Every SAFETY comment here rests on that promise.

// Opts in for reading and writing what C's pointers lead to.
#![allow(unsafe_code)]

use crate::errno::Failure;
use crate::shapes::Slot;
use libc::{c_char, c_void};
use splinter::{Error, KEY_MAX};
use std::ffi::CStr;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::slice;
use std::sync::atomic::AtomicU16;

/// An open store's handle: its serial number, which no address is made of.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Handle(*mut c_void);

impl Handle {
    /// What a serial number is multiplied by, so that no handle is odd or small.
    const STEP: usize = 64;
    /// The handle of no store.
    pub(crate) const NONE: Self = Self(std::ptr::null_mut());

    pub(crate) fn new(serial: u64) -> Self {
        Self((serial as usize).wrapping_mul(Self::STEP) as *mut c_void)
    }

    /// Returns the serial number; for what is no handle, one that no store has.
    #[inline(always)]
    pub(crate) fn serial(self) -> u64 {
        let address = self.0 as usize;
        if address.is_multiple_of(Self::STEP) { (address / Self::STEP) as u64 } else { 0 }
    }
}

/// A string.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Text<'c>(*const c_char, PhantomData<&'c CStr>);

impl<'c> Text<'c> {
    /// Returns the bytes of a key, of which no more than a key can have are looked at.
    #[inline(always)]
    pub(crate) fn key(self) -> Result<&'c [u8], Failure> {
        if self.0.is_null() {
            return Err(Failure::CALLER);
        }
        let len = self.key_len();
        if len > KEY_MAX {
            return Err(Error::KeyTooLong.into());
        }
        // SAFETY: that many bytes came before the end of the string, which stays for the call.
        Ok(unsafe { slice::from_raw_parts(self.0.cast(), len) })
    }

    /// Finds the end of a key, or that it is none. The first bytes are compared one after the other: what follows from
    /// the length need not wait then for them to come in, as it does for what `strnlen` returns, since the processor
    /// foresees the end.
    #[inline(always)]
    fn key_len(self) -> usize {
        const FIRST: usize = 16;
        let end = (0..FIRST).find(|index| {
            // SAFETY: the string did not end before this byte.
            unsafe { self.0.wrapping_add(*index).read() == 0 }
        });
        end.unwrap_or_else(|| {
            let rest = self.0.wrapping_add(FIRST);
            // SAFETY: the string did not end before this, and nothing is read behind its end.
            FIRST + unsafe { libc::strnlen(rest, KEY_MAX + 1 - FIRST) }
        })
    }

    /// Returns the bytes of a name, of which no more than a path can have are looked at.
    pub(crate) fn name(self) -> Result<&'c [u8], Failure> {
        if self.0.is_null() {
            return Err(Failure::CALLER);
        }
        let most = libc::PATH_MAX as usize;
        // SAFETY: as in `key`.
        let len = unsafe { libc::strnlen(self.0, most) };
        if len == most {
            return Err(Failure::of(libc::ENAMETOOLONG));
        }
        // SAFETY: as in `key`.
        Ok(unsafe { slice::from_raw_parts(self.0.cast(), len) })
    }
}

/// Any number of `T`, to be read.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct In<'c, T>(*const T, PhantomData<&'c T>);

impl<'c, T> In<'c, T> {
    /// Wraps an address that was itself read from what C handed over.
    pub(crate) fn of(address: *const T) -> Self {
        Self(address, PhantomData)
    }

    /// Returns `len` of them. No caller has more than a slice can have.
    #[inline(always)]
    pub(crate) fn slice(self, len: usize) -> Result<&'c [T], Failure> {
        if self.0.is_null() {
            return Err(Failure::CALLER);
        }
        if !self.0.is_aligned() || len > isize::MAX as usize / size_of::<T>().max(1) {
            return Err(Failure::ARGUMENT);
        }
        // SAFETY: they are where the pointer leads, which is aligned, and nobody changes them during the call.
        Ok(unsafe { slice::from_raw_parts(self.0, len) })
    }
}

impl<'c> In<'c, c_void> {
    /// Returns `len` bytes.
    #[inline(always)]
    pub(crate) fn bytes(self, len: usize) -> Result<&'c [u8], Failure> {
        In::of(self.0.cast()).slice(len)
    }

    /// Reads eight bytes as an integer.
    pub(crate) fn integer(self) -> Result<u64, Failure> {
        let bytes = self.bytes(size_of::<u64>())?;
        Ok(u64::from_ne_bytes(bytes.try_into().map_err(|_| Failure::ARGUMENT)?))
    }
}

/// Room for any number of `T`, to be written.
#[repr(transparent)]
pub(crate) struct Out<'c, T>(*mut T, PhantomData<&'c mut T>);

impl<T> Clone for Out<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Out<'_, T> {}

impl<'c, T> Out<'c, T> {
    #[inline(always)]
    pub(crate) fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Refuses NULL, before anything is done.
    #[inline(always)]
    pub(crate) fn required(self) -> Result<Self, Failure> {
        if self.is_null() { Err(Failure::CALLER) } else { Ok(self) }
    }
}

impl<'c, T: Copy> Out<'c, T> {
    /// Writes a value there, if there is a there.
    #[inline(always)]
    pub(crate) fn put(self, value: T) {
        if !self.is_null() {
            // SAFETY: there is room for one, wherever it lies.
            unsafe { self.0.write_unaligned(value) };
        }
    }

    /// Writes values there, one after the other.
    pub(crate) fn put_all(self, values: impl Iterator<Item = T>) -> Result<(), Failure> {
        self.required()?;
        for (index, value) in values.enumerate() {
            // SAFETY: the caller of this writes no more values than there is room for.
            let place = unsafe { self.0.add(index) };
            // SAFETY: as above.
            unsafe { place.write_unaligned(value) };
        }
        Ok(())
    }
}

impl<'c> Out<'c, c_void> {
    /// Borrows room for `len` bytes, of which only written ones are ever read.
    #[inline(always)]
    pub(crate) fn bytes(self, len: usize) -> Result<&'c mut [u8], Failure> {
        self.required()?;
        if len > isize::MAX as usize {
            return Err(Failure::ARGUMENT);
        }
        // SAFETY: there is room for that many bytes, which nobody else uses during the call.
        Ok(unsafe { slice::from_raw_parts_mut(self.0.cast(), len) })
    }
}

impl<'c> Out<'c, f32> {
    /// Borrows room for `len` numbers.
    pub(crate) fn numbers(self, len: usize) -> Result<&'c mut [f32], Failure> {
        self.required()?;
        if !self.0.is_aligned() {
            return Err(Failure::ARGUMENT);
        }
        // SAFETY: there is room for that many, aligned, which nobody else uses during the call.
        Ok(unsafe { slice::from_raw_parts_mut(self.0, len) })
    }
}

/// A slot that the program has: a description, filled by `splinter_get_slot` or by the program itself.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct SlotAt<'c>(*mut Slot, PhantomData<&'c Slot>);

impl<'c> SlotAt<'c> {
    /// Copies it.
    pub(crate) fn copy(self) -> Result<Slot, Failure> {
        if self.0.is_null() {
            return Err(Failure::CALLER);
        }
        // SAFETY: one is there, wherever it lies, and any bytes are one: it is made of integers.
        Ok(unsafe { self.0.read_unaligned() })
    }

    /// Fills it.
    pub(crate) fn fill(self, slot: Slot) -> Result<(), Failure> {
        Out(self.0, PhantomData).required().map(|place| place.put(slot))
    }

    /// Borrows its flags, which several threads may change.
    pub(crate) fn flags(self) -> Result<&'c AtomicU16, Failure> {
        if self.0.is_null() {
            return Err(Failure::CALLER);
        }
        let flags = self.0.cast::<u8>().wrapping_add(offset_of!(Slot, user_flag)).cast::<u16>();
        if !flags.is_aligned() {
            return Err(Failure::ARGUMENT);
        }
        // SAFETY: the field is there, aligned, and changed through this alone during the call.
        Ok(unsafe { AtomicU16::from_ptr(flags) })
    }
}

/// A store's header, known by its address: the first of the store's mapping. Nothing is read there.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct HeaderAt(*const c_void);

impl HeaderAt {
    pub(crate) fn new(address: *const u8) -> Self {
        Self(address.cast())
    }

    pub(crate) fn address(self) -> *const u8 {
        self.0.cast()
    }
}
