// The form for a new VM: what is in it, what is sent, and where the server's objection belongs.
import type { CreateVm, Firmware, Problem } from '../../lib/api/types';

export interface Form {
  name: string;
  source: 'image' | 'blank';
  image: string;
  media: string;
  memory: string;
  vcpus: number | null;
  diskSize: string;
  publish: string;
  user: string;
  sshKey: string;
  firmware: Firmware;
  start: boolean;
}

export function emptyForm(from: { image?: string; media?: string }): Form {
  return {
    name: '',
    source: from.media ? 'blank' : 'image',
    image: from.image ?? '',
    media: from.media ?? '',
    memory: '512M',
    vcpus: 1,
    diskSize: '',
    publish: '',
    user: '',
    sshKey: '',
    firmware: 'auto',
    start: true,
  };
}

/** What is sent. Nothing is checked here: that is the server's business. */
export function request(form: Form): CreateVm {
  const spec: CreateVm['spec'] = {
    boot: { mode: 'firmware', firmware: form.firmware },
    network: { mode: 'user', publish: lines(form.publish) },
    power: form.start ? 'on' : 'off',
  };
  if (form.vcpus !== null) spec.vcpus = form.vcpus;
  if (form.memory.trim()) spec.memory = form.memory.trim();
  if (form.diskSize.trim()) spec.diskSize = form.diskSize.trim();
  if (form.source === 'image' && form.image) spec.image = form.image;
  if (form.media) spec.media = form.media;
  const user = form.user.trim();
  const sshKeys = lines(form.sshKey);
  if (user || sshKeys.length > 0) spec.seed = { ...(user && { user }), sshKeys };
  const name = form.name.trim();
  return { ...(name && { name }), spec };
}

function lines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** The fields at which an objection can stand. */
export type Field =
  | 'name'
  | 'image'
  | 'media'
  | 'memory'
  | 'vcpus'
  | 'diskSize'
  | 'publish'
  | 'user'
  | 'sshKey'
  | 'firmware';

// By the member's name in lower case: a sentence begins with a capital.
const BY_MEMBER: Record<string, Field> = {
  name: 'name',
  image: 'image',
  media: 'media',
  memory: 'memory',
  vcpus: 'vcpus',
  disksize: 'diskSize',
  'network.publish': 'publish',
  'seed.user': 'user',
  'seed.sshkeys': 'sshKey',
  boot: 'firmware',
  'boot.firmware': 'firmware',
};

const BY_CODE: Record<string, Field> = {
  'name-taken': 'name',
  'port-in-use': 'publish',
};

const MEMBER = /^`?(?:spec\.)?([a-zA-Z.]+)`?(?:\[\d+\])?: /;
const UNREADABLE = 'The body is not what is taken here: ';

/** Where the server's objection belongs; nothing where it is about the whole. */
export function fieldOf({ code, detail }: Problem, form: Form): Field | undefined {
  if (detail.startsWith(UNREADABLE)) return fieldWith(detail.slice(UNREADABLE.length), form);
  const member = MEMBER.exec(detail)?.[1]?.toLowerCase();
  if (member !== undefined && BY_MEMBER[member]) return BY_MEMBER[member];
  return code.startsWith('image-') ? 'image' : BY_CODE[code];
}

// A value that could not be read at all is quoted, without its member: it stands where it was typed.
function fieldWith(sentence: string, form: Form): Field | undefined {
  if (sentence.startsWith('the name ')) return 'name';
  const quoted = /^"(.*?)"/.exec(sentence)?.[1];
  if (quoted === undefined) return undefined;
  const typed: [Field, string][] = [
    ['memory', form.memory],
    ['diskSize', form.diskSize],
    ['publish', form.publish],
  ];
  return typed.find(([, text]) => lines(text).includes(quoted))?.[0];
}

/** The objection without the member's name, which the field already says. */
export function objection({ detail }: Problem): string {
  const text = detail.startsWith(UNREADABLE)
    ? detail.slice(UNREADABLE.length)
    : detail.replace(MEMBER, '');
  return text.charAt(0).toUpperCase() + text.slice(1);
}
