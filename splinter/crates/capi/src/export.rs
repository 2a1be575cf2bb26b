//! The macro that exports functions to C, and tells tests how to declare them.

/// Exports the functions of one section of the header. A `function` is exported once, and its code gets no store. A
/// `pair` is exported twice: for the process's default store, and, with a handle before the other parameters, for any
/// store. In an `uncancelled` section, every function runs with thread cancellation disabled.
macro_rules! interface {
    ($section:ident = $title:literal $(if $guard:literal)?; $($rest:tt)*) => {
        interface!(@section run $section = $title $(if $guard)?; $($rest)*);
    };
    // A section whose functions wait or use files.
    ($section:ident = $title:literal, uncancelled; $($rest:tt)*) => {
        interface!(@section run_uncancelled $section = $title; $($rest)*);
    };
    (@section $run:ident $section:ident = $title:literal $(if $guard:literal)?; $($rest:tt)*) => {
        /// The section as the header and the manual need it.
        #[cfg(test)]
        pub(crate) const $section: $crate::declarations::Section = $crate::declarations::Section {
            title: $title,
            guard: { #[allow(unused_mut, unused_assignments)] { let mut guard = ""; $(guard = $guard;)? guard } },
            functions: interface!(@list [] $($rest)*),
        };
        interface!(@export $run $($rest)*);
    };

    (@list [$($done:expr,)*]) => { &[$($done,)*] };
    (@list [$($done:expr,)*] $(#[doc = $doc:literal])+
        function $name:ident($($arg:ident: $type:ty),*) -> $ret:ty = $act:expr; $($rest:tt)*) => {
        interface!(@list [$($done,)* $crate::declarations::Function {
            notes: &[$($doc),+],
            name: stringify!($name),
            twin: "",
            parameters: &[$((stringify!($arg), stringify!($type))),*],
            returns: stringify!($ret),
        },] $($rest)*)
    };
    (@list [$($done:expr,)*] $(#[doc = $doc:literal])+
        pair $name:ident, $twin:ident($($arg:ident: $type:ty),*) -> $ret:ty = $act:expr; $($rest:tt)*) => {
        interface!(@list [$($done,)* $crate::declarations::Function {
            notes: &[$($doc),+],
            name: stringify!($name),
            twin: stringify!($twin),
            parameters: &[$((stringify!($arg), stringify!($type))),*],
            returns: stringify!($ret),
        },] $($rest)*)
    };

    (@export $run:ident) => {};
    (@export $run:ident $(#[doc = $doc:literal])+
        function $name:ident($($arg:ident: $type:ty),*) -> $ret:ty = $act:expr; $($rest:tt)*) => {
        $(#[doc = $doc])+
        #[allow(unsafe_code, reason = "exports a C symbol")]
        #[unsafe(no_mangle)]
        pub(crate) extern "C" fn $name($($arg: $type),*) -> $ret {
            $crate::boundary::$run(|| ($act)($($arg),*))
        }
        interface!(@export $run $($rest)*);
    };
    (@export $run:ident $(#[doc = $doc:literal])+
        pair $name:ident, $twin:ident($($arg:ident: $type:ty),*) -> $ret:ty = $act:expr; $($rest:tt)*) => {
        const _: () = {
            use $crate::{boundary, handles};

            #[inline(never)]
            extern "C" fn call(store: &handles::Entry $(, $arg: $type)*) -> $ret {
                boundary::$run(|| ($act)(store $(, $arg)*))
            }
            #[cold]
            #[inline(never)]
            extern "C" fn look_up_and_call(serial: u64 $(, $arg: $type)*) -> $ret {
                boundary::run(|| Ok(call(&*handles::find(serial)? $(, $arg)*)))
            }
            // The store is cached nearly always: a call then costs a jump.
            #[inline(always)]
            fn dispatch(serial: u64 $(, $arg: $type)*) -> $ret {
                // SAFETY: only this call uses the reference.
                #[allow(unsafe_code, reason = "the cached store is found by its address")]
                match unsafe { handles::cached(serial) } {
                    Some(store) => call(store $(, $arg)*),
                    None => look_up_and_call(serial $(, $arg)*),
                }
            }
            $(#[doc = $doc])+
            #[allow(unsafe_code, reason = "exports a C symbol")]
            #[unsafe(no_mangle)]
            pub(crate) extern "C" fn $name($($arg: $type),*) -> $ret {
                dispatch(handles::default_serial() $(, $arg)*)
            }
            #[doc = concat!("Does what [`", stringify!($name), "`] does, on the store of a handle.")]
            #[allow(unsafe_code, reason = "exports a C symbol")]
            #[unsafe(no_mangle)]
            pub(crate) extern "C" fn $twin(store: $crate::args::Handle $(, $arg: $type)*) -> $ret {
                dispatch(store.serial() $(, $arg)*)
            }
        };
        interface!(@export $run $($rest)*);
    };
}
