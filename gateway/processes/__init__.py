"""Child processes: started, watched, restarted, and ended with all that they have started themselves."""

from gateway.processes.child import Child, ChildFailed, ChildState, Command
from gateway.processes.process_sessions import ProcessSession
from gateway.processes.program import Program, open_program

__all__ = ["Child", "ChildFailed", "ChildState", "Command", "ProcessSession", "Program", "open_program"]
