"""What `cvl doctor` reads of a machine (facts) and what follows from it (findings). Pure."""

from cvl.core.doctor.facts import MachineFacts
from cvl.core.doctor.finding import Finding, Severity, Topic
from cvl.core.doctor.findings import findings

__all__ = ["Finding", "MachineFacts", "Severity", "Topic", "findings"]
