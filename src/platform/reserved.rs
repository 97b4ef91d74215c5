//! Object classes whose names and storage are declared from the first deployment on, and which nothing calls yet.

use worker::{DurableObject, Env, Request, Response, Result, State, durable_object};

macro_rules! reserved {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[durable_object(fetch)]
        pub struct $name;

        impl DurableObject for $name {
            fn new(_state: State, _env: Env) -> Self {
                Self
            }

            async fn fetch(&self, _req: Request) -> Result<Response> {
                Response::error("no such call", 404)
            }
        }
    };
}

reserved! {
    /// Sessions of Socket.IO clients.
    Gateway
}
