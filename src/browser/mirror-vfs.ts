import type { Sqlite3Static } from '@sqlite.org/sqlite-wasm';
import type { RemoteFile } from './remote-file.ts';

/** The parts of the library that its types do not describe exactly enough. */
interface Struct {
  pointer: number;
  [member: string]: unknown;
}

/**
 * Registers a virtual file system that has one file, and can only read (sqlite.org: The SQLite OS Interface or "VFS").
 * @param onError gets what a read threw: SQLite itself only says that there was an error
 */
export function installVfs(
  sqlite3: Sqlite3Static,
  name: string,
  file: RemoteFile,
  onError: (error: unknown) => void,
): void {
  const { capi, wasm } = sqlite3 as unknown as { capi: Record<string, never>; wasm: Record<string, never> };
  const make = (type: string, ...at: number[]): Struct =>
    new (capi[type] as unknown as new (...at: number[]) => Struct)(...at);
  const poke = wasm['poke'] as unknown as (at: number, value: unknown, type: string) => void;
  const heap = wasm['heap8u'] as unknown as () => Uint8Array;
  const {
    SQLITE_OK,
    SQLITE_READONLY,
    SQLITE_IOERR_READ,
    SQLITE_IOERR_SHORT_READ,
    SQLITE_NOTFOUND,
    SQLITE_CANTOPEN,
  } = capi as unknown as Record<string, number>;
  const fileType = capi['sqlite3_file'] as unknown as { structInfo: { sizeof: number } };

  const io = make('sqlite3_io_methods');
  io['$iVersion'] = 1;
  const vfs = make('sqlite3_vfs');
  const usual = make('sqlite3_vfs', (capi['sqlite3_vfs_find'] as unknown as (name: null) => number)(null));
  vfs['$iVersion'] = 1;
  vfs['$szOsFile'] = fileType.structInfo.sizeof;
  vfs['$mxPathname'] = 512;
  for (const member of [
    '$xRandomness',
    '$xSleep',
    '$xCurrentTime',
    '$xDlOpen',
    '$xDlError',
    '$xDlSym',
    '$xDlClose',
  ])
    vfs[member] = usual[member];

  const ok = (): number => SQLITE_OK!;
  const refuse = (): number => SQLITE_READONLY!;
  const ioMethods = {
    xClose: ok,
    xRead: (_file: number, into: number, length: number, at: bigint | number): number => {
      try {
        const isWhole = file.read(heap().subarray(Number(into), Number(into) + length), Number(at));
        return isWhole ? SQLITE_OK! : SQLITE_IOERR_SHORT_READ!;
      } catch (error) {
        onError(error);
        return SQLITE_IOERR_READ!;
      }
    },
    xWrite: refuse,
    xTruncate: refuse,
    xSync: ok,
    xFileSize: (_file: number, size: number): number => {
      poke(size, BigInt(file.bytes), 'i64');
      return SQLITE_OK!;
    },
    xLock: ok,
    xUnlock: ok,
    xCheckReservedLock: (_file: number, result: number): number => {
      poke(result, 0, 'i32');
      return SQLITE_OK!;
    },
    xFileControl: (): number => SQLITE_NOTFOUND!,
    xSectorSize: (): number => 4096,
    xDeviceCharacteristics: (): number => 0,
  };
  const vfsMethods = {
    xOpen: (_vfs: number, path: number, opened: number, flags: number, outFlags: number): number => {
      // Sorting needs no file: temp_store says so.
      if (path === 0) return SQLITE_CANTOPEN!;
      const struct = make('sqlite3_file', opened);
      struct['$pMethods'] = io.pointer;
      (struct['dispose'] as () => void)();
      if (outFlags) poke(outFlags, flags, 'i32');
      return SQLITE_OK!;
    },
    xDelete: refuse,
    xAccess: (_vfs: number, _path: number, _flags: number, result: number): number => {
      poke(result, 0, 'i32');
      return SQLITE_OK!;
    },
    xFullPathname: (_vfs: number, path: number, length: number, into: number): number => {
      const copy = wasm['cstrncpy'] as unknown as (into: number, from: number, length: number) => number;
      return copy(into, path, length) < length ? SQLITE_OK! : SQLITE_CANTOPEN!;
    },
    xGetLastError: ok,
  };
  const install = sqlite3.vfs.installVfs as unknown as (parts: object) => void;
  install({
    io: { struct: io, methods: ioMethods },
    vfs: { struct: vfs, methods: vfsMethods, name },
  });
}
