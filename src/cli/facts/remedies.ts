/**
 * What to do about an error that halts a replica, keeps it from starting, or keeps it from a state, by the error's
 * code. docs/operations.md has the whole story of each.
 */
const REMEDIES: Readonly<Record<string, string>> = {
  APPLY_FAILED: 'fix the machine and restart it; the entry stays in the log',
  CHECKPOINT_FAILED: 'nothing by itself: the next try comes; look at the cause',
  CUT_FAILED: 'remove the item that is too large, or raise --chunk-bytes; the group then goes on by itself',
  DIRECTORY_IN_USE: 'stop the other process, or give this replica a --data of its own',
  DIRECTORY_OF_ANOTHER_LOG:
    'name the log that the directory belongs to with --log and --group; or put that log back; or, to begin without that state, give --new-log once',
  DIRECTORY_UNUSABLE:
    'make room, or give the user that runs it permission to write there; remove an identity.key that is broken to become a new replica',
  DISPUTED:
    'run "anchorage verify" to see who has which root; stop the wrong replica, or restart it without its data directory',
  DIVERGED:
    'fix the machine, which is not deterministic, or replace the hardware; then restart it without its data directory',
  ENOSPC: 'make room on the disk; the replica then goes on by itself, or starts again',
  EPOCH_CHANGED:
    'put the old log back if it exists; if not, begin a new one with the state of one replica: docs/operations.md#when-the-log-is-lost',
  IDENTITY_IN_USE:
    'stop one of the two; remove identity.key from the copy, which makes it a replica of its own',
  IMPORT_UNFINISHED:
    'import again into the same log and directory while the log is empty; otherwise give another directory',
  INSTALL_FAILED: 'mend the machine, which refuses a snapshot that the group agreed on, and restart it',
  LISTEN_FAILED: 'listen on another address or port; /tcp/0 is any free port',
  LOG_DAMAGED: 'restore a backup of the log; or begin a new one with "anchorage import" and a checkpoint',
  LOG_MISMATCH: 'give the group and the machine that the log is of, with --group and --machine',
  LOG_MISSING: 'look at --log and --group: nothing is there under that name',
  LOG_REFUSED:
    "check the user, the password or key, the certificate and its dates, and this machine's clock; compare the user's permissions with those needed",
  LOG_REWOUND:
    'put the newer log back; otherwise restart it without its data directory, or begin a new log with its state',
  LOG_UNAVAILABLE: "start the log's servers, or mend the network to them; the replica then goes on by itself",
  LOG_UNUSABLE: 'as the message says: make room on its disk, or give this user permission to write it',
  UPGRADE_REQUIRED: 'install the version that the others run, and restart it with the same data directory',
  WRONG_MACHINE: 'give the machine that the log is of with --machine, or another log with --log',
}

/** Undefined for an error about which nothing can be said in a line. */
export function remedyFor(code: string): string | undefined {
  return REMEDIES[code]
}

/** Where an error has a row in a table. */
export const ERRORS_PAGE = 'docs/operations.md#what-the-errors-mean'
