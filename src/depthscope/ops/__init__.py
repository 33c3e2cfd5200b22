"""Operations: how a running session is: its health, metrics, logs, audit log, and the doctor."""
