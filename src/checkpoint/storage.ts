/**
 * Where a data directory is kept. The default is the machine's file system, `fileStorage`; a simulation
 * brings another.
 *
 * Paths are those of `node:path`. Files are readable and writable by their owner only. What fails rejects
 * with an `Error` whose `code` is Node's: `ENOENT` for what is not there, `EACCES` for what is not allowed,
 * `ENOSPC` or `EDQUOT` for no room, `EROFS` for a medium that takes nothing.
 *
 * A write is seen by later reads once it resolves. It outlives a crash of the process then, but not one of
 * the machine: for that a file has to be flushed, and so has the directory that names it.
 */
export interface Storage {
  /**
   * Make a directory and those above it, each with this mode. Nothing happens where there is one. Rejects
   * where something else has its place. What was made outlives a crash of the machine.
   */
  makeDirectory(path: string, mode: number): Promise<void>
  /** The names of what is in a directory, in any order. */
  list(directory: string): Promise<string[]>
  /** All of a file. */
  read(path: string): Promise<Buffer>
  /**
   * Make a file of these bytes, in place of what it held. The write is under way when this returns, however
   * busy the event loop is. A write that fails, or a crash, may leave a part of it.
   */
  write(path: string, bytes: Uint8Array, options?: WriteOptions): Promise<void>
  /** Resolves when what was written to a file outlives a crash of the machine, by whomever it was written. */
  flush(path: string): Promise<void>
  /** Open a file to read parts of it. */
  open(path: string): Promise<ReadableFile>
  /** Make an empty file, or empty the one that is there, and write it in parts. */
  create(path: string): Promise<WritableFile>
  /** How many bytes a file has. */
  size(path: string): Promise<number>
  /**
   * Give a file another name in the same directory, in place of the file that had it. At any moment, and
   * after any crash, that name stands for the one or the other. A machine's crash undoes it until the
   * directory is flushed.
   */
  rename(from: string, to: string): Promise<void>
  /** Remove a file. Nothing happens where there is none. */
  remove(path: string): Promise<void>
  /** Resolves when the names in a directory outlive a crash of the machine. */
  flushDirectory(path: string): Promise<void>
  /**
   * Take a lock that one holder has at a time, in this process and in all others. It ends with its holder,
   * however that ends. Resolves with undefined where another has it. Makes the file that stands for the lock.
   */
  lock(path: string): Promise<Disposable | undefined>
}

export interface WriteOptions {
  /** Resolve when the bytes outlive a crash of the machine. Default: false. */
  readonly flush?: boolean
}

/**
 * A file that is open. It can be read to its end even when its name is removed, or given to another file,
 * meanwhile.
 */
export interface ReadableFile {
  /** Its bytes when it was opened. */
  readonly size: number
  /**
   * Read from the byte `at` on. Resolves with how many bytes were read: fewer than asked for, or 0 at the
   * end.
   */
  read(into: Uint8Array, at: number): Promise<number>
  close(): Promise<void>
}

/** A file that is being written. */
export interface WritableFile {
  /** Write all these bytes from the byte `at` on. They must stay as they are until it resolves. */
  write(bytes: Uint8Array, at: number): Promise<void>
  /** Resolves when what was written outlives a crash of the machine. */
  flush(): Promise<void>
  close(): Promise<void>
}
