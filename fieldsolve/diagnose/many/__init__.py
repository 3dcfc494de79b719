"""Many diagnoses side by side: which runs there are, each as a task, what differs between them, tables and pictures."""
