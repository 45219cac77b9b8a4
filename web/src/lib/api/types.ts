// The API's objects, derived from its description (`npm run types` makes schema.d.ts anew).
import type { components } from './schema';

type S = components['schemas'];

/**
 * An object as the server sends it. What a request may leave out (a default) is always there in an
 * answer; what may be null is left out instead.
 */
type Sent<T> = T extends (infer E)[]
  ? Sent<E>[]
  : T extends object
    ? { [K in keyof T as null extends T[K] ? never : K]-?: Sent<Exclude<T[K], undefined>> } & {
        [K in keyof T as null extends T[K] ? K : never]?: Sent<Exclude<T[K], null | undefined>>;
      }
    : T;

export type ImagePhase = S['ImagePhase'];
export type VmPhase = S['VmPhase'];
export type Firmware = S['Firmware'];
export type Verdict = S['Verdict'];
export type ExitCause = S['ExitCause'];

// Actions are plain words in the description, so that a new one breaks no client.
export type ImageActionName =
  | 'create-vm'
  | 'attach-disk'
  | 'insert-media'
  | 'boot-kernel'
  | 'boot-initrd'
  | 'download'
  | 'convert'
  | 'encrypt'
  | 'decrypt'
  | 'manage-keys'
  | 'check'
  | 'pause'
  | 'resume'
  | 'retry'
  | 'cancel'
  | 'rename'
  | 'delete'
  | 'restore'
  | 'purge';
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

export type ActionState = Sent<S['ActionState']>;
export type Metadata = Sent<S['Metadata']>;
export type Progress = Sent<S['Progress']>;
export type Engine = Sent<S['Engine']>;
export type Check = Sent<S['Check']>;
export type Problem = Omit<Sent<S['Problem']>, 'kind' | 'actions'> & {
  kind: string;
  actions?: ActionState[];
};

export type Image = Sent<S['Image']> & { kind: 'Image' };
export type Vm = Sent<S['Vm']> & { kind: 'Vm' };
export type Host = Sent<S['Host']> & { kind: 'Host' };
export type AnyObject = Image | Vm | Host;

export type VmUsage = Sent<S['VmUsage']>;
export type HostUsage = Sent<S['HostUsage']>;

export type Event =
  { type: 'put'; revision: number; object: AnyObject } | Exclude<Sent<S['Event']>, { type: 'put' }>;
export type LiveEvent =
  | { type: 'progress'; kind: string; id: string; progress: Progress | null }
  | Exclude<Sent<S['LiveEvent']>, { type: 'progress' }>;

export type ConsoleNotice = Sent<S['ConsoleNotice']>;
export type ConsoleRequest = S['ConsoleRequest'];

/** What `POST /v1/vms` takes. Sizes may be texts such as `512M`. */
export type CreateVm = Omit<S['NewVm'], 'spec'> & {
  spec: Partial<Omit<S['VmSpec'], 'memory' | 'diskSize'>> & {
    memory?: number | string;
    diskSize?: number | string;
  };
};
