//! Wrappers for the pointers that C passes, each with the type that its pointer points to. A wrapper checks its pointer
//! before every use, and returns a failure for NULL.
//!
//! Every pointer that is read or written here came from C, through an exported function. Its caller promises what
//! `splinter.h` says: a pointer is NULL, or points to what its parameter is declared to be. That holds for the length
//! given beside it, until the function returns. A string ends in NUL. Every SAFETY comment here rests on that promise.

// Opts in for reading and writing through pointers from C.
#![allow(unsafe_code)]

use crate::errno::Failure;
use crate::shapes::{SearchOptions, Slot};
use libc::{c_char, c_void};
use splinter::{Error, KEY_MAX};
use std::ffi::CStr;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::slice;
use std::sync::atomic::AtomicU16;

/// The handle of an open store: a multiple of its serial number, never an address.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Handle(*mut c_void);

impl Handle {
    /// The factor between serial numbers and handles, so that no handle is odd or small.
    const STEP: usize = 64;
    /// The NULL handle, which belongs to no store.
    pub(crate) const NONE: Self = Self(std::ptr::null_mut());

    /// Returns the handle of the store with this serial number.
    pub(crate) fn new(serial: u64) -> Self {
        Self((serial as usize).wrapping_mul(Self::STEP) as *mut c_void)
    }

    /// Returns the serial number; for an address that is not a handle, 0, which no store has.
    #[inline(always)]
    pub(crate) fn serial(self) -> u64 {
        let address = self.0 as usize;
        if address.is_multiple_of(Self::STEP) { (address / Self::STEP) as u64 } else { 0 }
    }
}

/// A NUL-terminated string.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Text<'c>(*const c_char, PhantomData<&'c CStr>);

impl<'c> Text<'c> {
    /// Wraps an address that was itself read through a pointer from C.
    pub(crate) fn new(address: *const c_char) -> Self {
        Self(address, PhantomData)
    }

    /// Returns the bytes of a key. Reads at most `KEY_MAX + 1` bytes.
    #[inline(always)]
    pub(crate) fn key(self) -> Result<&'c [u8], Failure> {
        if self.0.is_null() {
            return Err(Failure::CALLER);
        }
        let len = self.key_len();
        if len > KEY_MAX {
            return Err(Error::KeyTooLong.into());
        }
        // SAFETY: that many bytes precede the string's NUL, and the string stays for the call.
        Ok(unsafe { slice::from_raw_parts(self.0.cast(), len) })
    }

    /// Returns the length of a key, or `KEY_MAX + 1` if the string is too long for one. Compares the first bytes one by
    /// one: the processor predicts the end, so later code need not wait until memory delivers the bytes. It would have
    /// to wait for the result of `strnlen`.
    #[inline(always)]
    fn key_len(self) -> usize {
        const FIRST: usize = 16;
        let end = (0..FIRST).find(|index| {
            // SAFETY: the string did not end before this byte.
            unsafe { self.0.wrapping_add(*index).read() == 0 }
        });
        end.unwrap_or_else(|| {
            let rest = self.0.wrapping_add(FIRST);
            // SAFETY: the string did not end before this byte, and `strnlen` reads nothing behind its end.
            FIRST + unsafe { libc::strnlen(rest, KEY_MAX + 1 - FIRST) }
        })
    }

    /// Returns the bytes of a name. Reads at most `PATH_MAX` bytes.
    pub(crate) fn name(self) -> Result<&'c [u8], Failure> {
        if self.0.is_null() {
            return Err(Failure::CALLER);
        }
        let limit = libc::PATH_MAX as usize;
        // SAFETY: as in `key`.
        let len = unsafe { libc::strnlen(self.0, limit) };
        if len == limit {
            return Err(Failure::of(libc::ENAMETOOLONG));
        }
        // SAFETY: as in `key`.
        Ok(unsafe { slice::from_raw_parts(self.0.cast(), len) })
    }
}

/// A pointer to any number of `T`, for reading.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct In<'c, T>(*const T, PhantomData<&'c T>);

impl<'c, T> In<'c, T> {
    /// Wraps an address that was itself read through a pointer from C.
    pub(crate) fn new(address: *const T) -> Self {
        Self(address, PhantomData)
    }

    /// Returns `len` elements. Refuses more bytes than a slice can have, since no caller has as many.
    #[inline(always)]
    pub(crate) fn slice(self, len: usize) -> Result<&'c [T], Failure> {
        if self.0.is_null() {
            return Err(Failure::CALLER);
        }
        if !self.0.is_aligned() || len > isize::MAX as usize / size_of::<T>().max(1) {
            return Err(Failure::ARGUMENT);
        }
        // SAFETY: the elements are where the pointer points, which is aligned, and nobody changes them during the call.
        Ok(unsafe { slice::from_raw_parts(self.0, len) })
    }
}

impl<'c> In<'c, c_void> {
    /// Returns `len` bytes.
    #[inline(always)]
    pub(crate) fn bytes(self, len: usize) -> Result<&'c [u8], Failure> {
        In::new(self.0.cast()).slice(len)
    }

    /// Reads eight bytes as an integer.
    pub(crate) fn integer(self) -> Result<u64, Failure> {
        let bytes = self.bytes(size_of::<u64>())?;
        Ok(u64::from_ne_bytes(bytes.try_into().map_err(|_| Failure::ARGUMENT)?))
    }
}

impl In<'_, SearchOptions> {
    /// The most bytes that options may have in a later version.
    const MOST: usize = 4096;

    /// Copies options; none if the pointer is NULL. They begin with their size. Those of a program that was compiled with a
    /// later header are longer: what is behind those that are known here must be zero.
    pub(crate) fn options(self) -> Result<Option<SearchOptions>, Failure> {
        if self.0.is_null() {
            return Ok(None);
        }
        let known = size_of::<SearchOptions>();
        // SAFETY: options are there, aligned or not, whose first field is their size.
        let size = unsafe { self.0.cast::<usize>().read_unaligned() };
        if !(known..=Self::MOST).contains(&size) {
            return Err(Failure::ARGUMENT);
        }
        // SAFETY: there are `size` bytes, as the caller says.
        let all = unsafe { slice::from_raw_parts(self.0.cast::<u8>(), size) };
        if all[known..].iter().any(|byte| *byte != 0) {
            return Err(Failure::ARGUMENT);
        }
        // SAFETY: the known fields are there, aligned or not. They are numbers and addresses.
        Ok(Some(unsafe { self.0.read_unaligned() }))
    }
}

/// A pointer to room for any number of `T`, for writing.
#[repr(transparent)]
pub(crate) struct Out<'c, T>(*mut T, PhantomData<&'c mut T>);

impl<T> Clone for Out<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Out<'_, T> {}

impl<'c, T> Out<'c, T> {
    /// Wraps an address as C passes it.
    #[cfg(test)]
    pub(crate) fn new(address: *mut T) -> Self {
        Self(address, PhantomData)
    }

    #[inline(always)]
    pub(crate) fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Returns the pointer, or a failure for NULL: a function refuses NULL before it does anything.
    #[inline(always)]
    pub(crate) fn required(self) -> Result<Self, Failure> {
        if self.is_null() { Err(Failure::CALLER) } else { Ok(self) }
    }
}

impl<'c, T: Copy> Out<'c, T> {
    /// Writes a value, or nothing if the pointer is NULL.
    #[inline(always)]
    pub(crate) fn put(self, value: T) {
        if !self.is_null() {
            // SAFETY: there is room for one value, aligned or not.
            unsafe { self.0.write_unaligned(value) };
        }
    }

    /// Writes values, one after the other. Fails for NULL.
    pub(crate) fn put_all(self, values: impl Iterator<Item = T>) -> Result<(), Failure> {
        self.required()?;
        for (index, value) in values.enumerate() {
            // SAFETY: the caller of `put_all` passes no more values than there is room for.
            let place = unsafe { self.0.add(index) };
            // SAFETY: as above.
            unsafe { place.write_unaligned(value) };
        }
        Ok(())
    }
}

impl<'c> Out<'c, c_void> {
    /// Borrows room for `len` bytes. No byte is read before it was written.
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
    /// Borrows room for `len` floats.
    pub(crate) fn floats(self, len: usize) -> Result<&'c mut [f32], Failure> {
        self.required()?;
        if !self.0.is_aligned() {
            return Err(Failure::ARGUMENT);
        }
        // SAFETY: there is aligned room for that many floats, which nobody else uses during the call.
        Ok(unsafe { slice::from_raw_parts_mut(self.0, len) })
    }
}

/// A pointer to a program's slot: a description that `splinter_get_slot` or the program itself filled.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct SlotPtr<'c>(*mut Slot, PhantomData<&'c Slot>);

impl<'c> SlotPtr<'c> {
    /// Copies the slot.
    pub(crate) fn copy(self) -> Result<Slot, Failure> {
        if self.0.is_null() {
            return Err(Failure::CALLER);
        }
        // SAFETY: a slot is there, aligned or not. Any bytes are a valid slot, which has integers only.
        Ok(unsafe { self.0.read_unaligned() })
    }

    /// Fills the slot.
    pub(crate) fn fill(self, slot: Slot) -> Result<(), Failure> {
        Out(self.0, PhantomData).required().map(|place| place.put(slot))
    }

    /// Borrows the slot's flags, which several threads may change.
    pub(crate) fn flags(self) -> Result<&'c AtomicU16, Failure> {
        if self.0.is_null() {
            return Err(Failure::CALLER);
        }
        let flags = self.0.cast::<u8>().wrapping_add(offset_of!(Slot, user_flag)).cast::<u16>();
        if !flags.is_aligned() {
            return Err(Failure::ARGUMENT);
        }
        // SAFETY: the field is there and aligned, and during the call it changes only through such an atomic.
        Ok(unsafe { AtomicU16::from_ptr(flags) })
    }
}

/// The address of a store's header, the first address of the store's mapping. Nothing is read there.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct HeaderPtr(*const c_void);

impl HeaderPtr {
    pub(crate) fn new(address: *const u8) -> Self {
        Self(address.cast())
    }

    pub(crate) fn address(self) -> *const u8 {
        self.0.cast()
    }
}
