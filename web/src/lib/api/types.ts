// The API's objects, exactly as they are in JSON.

export type ImagePhase = 'arriving' | 'checking' | 'ready' | 'damaged' | 'unreadable' | 'missing';
export type VmPhase =
  'stopped' | 'waiting' | 'starting' | 'running' | 'paused' | 'stopping' | 'failed' | 'deleting';
export type ImageActionName =
  'create-vm' | 'attach-disk' | 'insert-media' | 'boot-kernel' | 'boot-initrd' | 'check' | 'delete';
export type VmActionName =
  | 'start'
  | 'stop'
  | 'restart'
  | 'pause'
  | 'resume'
  | 'kill'
  | 'console'
  | 'insert-media'
  | 'eject-media'
  | 'delete';
export type Format =
  'raw' | 'qcow2' | 'vmdk' | 'vhd' | 'vhdx' | 'iso' | 'erofs' | 'squashfs' | 'kernel' | 'initramfs';
export type Compression = 'gzip' | 'xz' | 'zstd';
export type PartitionTable = 'gpt' | 'mbr' | 'none';
export type Firmware = 'auto' | 'bios' | 'uefi';
export type NetworkMode = 'user' | 'tap' | 'none';
export type Power = 'off' | 'on' | 'paused';
export type Verdict = 'yes' | 'limited' | 'no';
export type ExitCause =
  | 'guest-shutdown'
  | 'stopped'
  | 'deadline-passed'
  | 'killed'
  | 'start-failed'
  | 'guest-panic'
  | 'engine-died'
  | 'host-rebooted';

export interface ActionState {
  name: string;
  allowed: boolean;
  reason?: string;
}
export interface Metadata {
  id: string;
  name: string;
  labels: Record<string, string>;
  revision: number;
  created: string;
}
export interface Condition {
  name: string;
  message: string;
}
export interface Progress {
  task: string;
  done: number;
  total?: number;
  rate?: number;
}
export interface ImageUser {
  kind: string;
  id: string;
  name: string;
  role: string;
}
export interface ImageStatus {
  phase: ImagePhase;
  reason?: string;
  progress?: Progress | null;
  fileSize: number;
  allocated: number;
  modified: number;
  format?: Format;
  compression?: Compression;
  virtualSize?: number;
  partitions?: PartitionTable;
  sha256?: string;
  users: ImageUser[];
  conditions: Condition[];
  actions: ActionState[];
}
export interface Image {
  kind: 'Image';
  metadata: Metadata;
  spec: { folder: string; path: string };
  status: ImageStatus;
}

export interface DataDisk {
  name: string;
  image?: string;
  size?: number;
}
export type Boot =
  | { mode: 'firmware'; firmware: Firmware }
  | { mode: 'kernel'; kernel: string; initrd?: string; cmdline: string };
export interface Seed {
  hostname?: string;
  user?: string;
  sshKeys: string[];
  userData?: string;
}
export interface VmSpec {
  image?: string;
  vcpus: number;
  memory: number;
  diskSize?: number;
  disks: DataDisk[];
  media?: string;
  boot: Boot;
  network: { mode: NetworkMode; bridge?: string; publish: string[] };
  seed?: Seed;
  engine: 'auto' | 'qemu';
  accelerator: 'auto' | 'kvm' | 'tcg';
  stopDeadline: number;
  power: Power;
  restarts: number;
}
export interface Engine {
  name: string;
  version: string;
  accelerator: 'kvm' | 'tcg';
  why: string;
  isolation: 'hardware' | 'none';
}
export interface AttachedDisk {
  name: string;
  image?: string;
  imageFormat?: Format;
  size: number;
  readOnly: boolean;
}
export interface Exit {
  cause: ExitCause;
  message: string;
  at: string;
}
export interface VmStatus {
  phase: VmPhase;
  reason?: string;
  progress?: Progress | null;
  engine?: Engine;
  disks: AttachedDisk[];
  process?: { pid: number; startTicks: number; bootId: string };
  restartsDone: number;
  mac?: string;
  exit?: Exit;
  conditions: Condition[];
  actions: ActionState[];
}
export interface Vm {
  kind: 'Vm';
  metadata: Metadata;
  spec: VmSpec;
  status: VmStatus;
}
export interface VmUsage {
  cpu: number;
  cpuTimeMs: number;
  memory: number;
  balloon?: number;
  diskRead: number;
  diskWritten: number;
  diskReadRate: number;
  diskWriteRate: number;
  netReceived?: number;
  netSent?: number;
  netReceiveRate?: number;
  netSendRate?: number;
}

export interface Check {
  name: string;
  title: string;
  verdict: Verdict;
  detail: string;
  remedy?: string;
}
export interface HostStatus {
  version: string;
  kernel: string;
  cpus: number;
  memory: number;
  imageFolders: string[];
  checks: Check[];
}
export interface Host {
  kind: 'Host';
  metadata: Metadata;
  spec: object;
  status: HostStatus;
}
export interface HostUsage {
  cpu: number;
  memoryTotal: number;
  memoryAvailable: number;
  swapTotal: number;
  swapUsed: number;
  memoryPressure?: number;
  dataFree: number;
}

export type AnyObject = Image | Vm | Host;
export type Event =
  | { type: 'put'; revision: number; object: AnyObject }
  | { type: 'delete'; revision: number; kind: string; id: string }
  | { type: 'reset'; revision: number };
export type LiveEvent =
  | { type: 'progress'; kind: string; id: string; progress: Progress | null }
  | { type: 'usage'; id: string; usage: VmUsage }
  | { type: 'host'; usage: HostUsage };

export interface Problem {
  kind: string;
  status: number;
  title: string;
  code: string;
  detail: string;
  phase?: string;
  actions?: ActionState[];
}

/** What `POST /v1/vms` takes. Sizes may be texts such as `512M`. */
export interface CreateVm {
  name?: string;
  labels?: Record<string, string>;
  spec: Partial<Omit<VmSpec, 'memory' | 'diskSize'>> & {
    memory?: number | string;
    diskSize?: number | string;
  };
}
