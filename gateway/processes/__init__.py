"""Child processes: started, watched, restarted, and ended with all that they have started themselves."""

from gateway.processes.child import Child, ChildFailed, ChildState, Command
from gateway.processes.inheritance import BARE, BASE_MODEL, ENGINE, GATEWAY, RETRIEVER, TRAINER, WORKER, Inheritance
from gateway.processes.process_sessions import ProcessSession
from gateway.processes.program import Program, open_program

__all__ = [
    "BARE",
    "BASE_MODEL",
    "ENGINE",
    "GATEWAY",
    "RETRIEVER",
    "TRAINER",
    "WORKER",
    "Child",
    "ChildFailed",
    "ChildState",
    "Command",
    "Inheritance",
    "ProcessSession",
    "Program",
    "open_program",
]
