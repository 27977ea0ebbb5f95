"""What every program needs: settings, logs, metrics, traces, signals, outgoing addresses. It knows no job."""
