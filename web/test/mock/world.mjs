// The mock's objects: what a daemon would have, made up. For looking at the page only; never ships.
import { randomUUID } from 'node:crypto';

const GIB = 2 ** 30;
const MIB = 2 ** 20;
const no = (name, reason) => ({ name, allowed: false, reason });
const yes = (name) => ({ name, allowed: true });

export const state = {
  revision: 41,
  images: new Map(),
  vms: new Map(),
  log: [],
  listeners: new Set(),
};

export function metadata(name, ageMinutes = 0) {
  const created = new Date(Date.now() - ageMinutes * 60_000).toISOString();
  return { id: randomUUID(), name, labels: {}, revision: state.revision, created };
}

export function imageActions({ phase, format, compression, reason, users }) {
  const why = {
    arriving: 'it is still arriving',
    checking: 'it is still being checked',
    damaged: `it is damaged: ${reason}`,
  }[phase];
  const use = (name, fits, unfit) => {
    if (why) return no(name, why);
    if (compression)
      return no(name, `it is compressed; unpack it first with \`${compression} -d\``);
    return fits ? yes(name) : no(name, unfit);
  };
  const disk = !['iso', 'kernel', 'initramfs'].includes(format);
  const remove = () => {
    if (phase === 'arriving')
      return no('delete', 'it is still arriving; stop the copy, then delete it');
    if (users?.length) return no('delete', `VM ${users[0].name} needs it; delete that VM first`);
    return yes('delete');
  };
  return [
    use(
      'create-vm',
      disk,
      format === 'iso'
        ? 'it is a disc; make a VM with it as its media instead'
        : 'it is not a disk',
    ),
    use('attach-disk', disk, 'it is not a disk'),
    use('insert-media', format === 'iso', 'it is not an ISO 9660 disc'),
    use('boot-kernel', format === 'kernel', 'it is not a Linux kernel'),
    use('boot-initrd', format === 'initramfs', 'it is not an initramfs'),
    phase === 'arriving' || phase === 'checking' ? no('check', why) : yes('check'),
    remove(),
  ];
}

export function vmActions(phase, hasMedia) {
  const runs = phase === 'running';
  const has = ['starting', 'running', 'paused', 'stopping'].includes(phase);
  const give = (name, allowed, reason) => (allowed ? yes(name) : no(name, reason));
  const is = phase === 'stopped' ? 'it is not running' : `it is ${phase}`;
  return [
    give('start', phase === 'stopped' || phase === 'failed', is),
    give('stop', ['waiting', 'starting', 'running', 'paused'].includes(phase), is),
    give('restart', runs || phase === 'paused', is),
    give('pause', runs, is),
    give('resume', phase === 'paused', is),
    give('kill', has, is),
    give('console', has, is),
    give('insert-media', phase !== 'starting' && phase !== 'stopping', is),
    give('eject-media', hasMedia, 'its drive is empty'),
    give(
      'delete',
      ['stopped', 'failed', 'waiting'].includes(phase),
      `it is ${phase}; stop it first`,
    ),
  ];
}

export function emit(event) {
  state.log.push(event);
  for (const listener of state.listeners) listener(event);
}

export function putImage(image) {
  state.revision += 1;
  image.metadata.revision = state.revision;
  image.status.actions = imageActions(image.status);
  state.images.set(image.metadata.id, image);
  emit({ type: 'put', revision: state.revision, object: structuredClone(image) });
}

export function putVm(vm) {
  state.revision += 1;
  vm.metadata.revision = state.revision;
  vm.status.actions = vmActions(vm.status.phase, vm.spec.media !== undefined);
  state.vms.set(vm.metadata.id, vm);
  emit({ type: 'put', revision: state.revision, object: structuredClone(vm) });
}

export function remove(kind, collection, id) {
  state.revision += 1;
  collection.delete(id);
  emit({ type: 'delete', revision: state.revision, kind, id });
}

export function image(name, path, status, age = 60) {
  const fileSize = status.fileSize ?? 1.5 * GIB;
  return {
    kind: 'Image',
    metadata: metadata(name, age),
    spec: { folder: 'images', path },
    status: {
      phase: 'ready',
      progress: null,
      fileSize,
      allocated: fileSize,
      modified: (Date.now() - age * 60_000) * 1e6,
      users: [],
      conditions: [],
      ...status,
    },
  };
}

export function vm(name, phase, spec = {}, status = {}) {
  const running = ['starting', 'running', 'paused', 'stopping'].includes(phase);
  return {
    kind: 'Vm',
    metadata: metadata(name, 300),
    spec: {
      vcpus: 2,
      memory: 1 * GIB,
      disks: [],
      boot: { mode: 'firmware', firmware: 'auto' },
      network: { mode: 'user', publish: [] },
      engine: 'auto',
      accelerator: 'auto',
      stopDeadline: 60,
      power: running ? 'on' : 'off',
      restarts: 0,
      ...spec,
    },
    status: {
      phase,
      progress: null,
      disks: [],
      restartsDone: 0,
      conditions: [],
      ...(running && {
        engine: {
          name: 'qemu',
          version: '7.2.19',
          accelerator: 'tcg',
          why: 'KVM opens here but cannot run Linux: the probe guest stopped at CMPXCHG16B.',
          isolation: 'none',
        },
        process: { pid: 4711, startTicks: 1, bootId: randomUUID() },
        mac: '52:54:00:4b:6e:67',
      }),
      ...status,
    },
  };
}

export const host = {
  kind: 'Host',
  metadata: metadata('attic', 9000),
  spec: {},
  status: {
    version: '0.1.0',
    kernel: '6.1.0-37-amd64',
    cpus: 8,
    memory: 16 * GIB,
    imageFolders: ['/var/lib/kinglet/images'],
    checks: [
      {
        name: 'kvm',
        title: 'Hardware virtualisation',
        verdict: 'limited',
        detail: '/dev/kvm opens, but the probe guest did not come to its halt.',
        remedy:
          'Enable nested virtualisation on the machine below, or accept TCG for guests that you trust.',
      },
      {
        name: 'qemu',
        title: 'QEMU',
        verdict: 'yes',
        detail: 'qemu-system-x86_64 7.2.19 with kvm, tcg',
      },
      {
        name: 'ovmf',
        title: 'UEFI firmware',
        verdict: 'yes',
        detail: '/usr/share/OVMF/OVMF_CODE_4M.fd',
      },
      {
        name: 'passt',
        title: 'User-mode network',
        verdict: 'no',
        detail: 'passt is not installed; QEMU’s own network is used.',
        remedy: 'apt-get install passt',
      },
      {
        name: 'inotify',
        title: 'Folder watching',
        verdict: 'yes',
        detail: '1 of 524288 watches in use',
      },
    ],
  },
};

export function fill(many) {
  const digest = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
  const debian = image('debian-12', 'debian-12.qcow2', {
    format: 'qcow2',
    virtualSize: 8 * GIB,
    partitions: 'gpt',
    sha256: digest,
    conditions: [{ name: 'verified', message: 'Its SHA-256 is as SHA256SUMS says.' }],
  });
  const web = vm(
    'web-1',
    'running',
    {
      image: debian.metadata.id,
      network: { mode: 'user', publish: ['127.0.0.1:2222:22/tcp', '0.0.0.0:8080:80/tcp'] },
    },
    {
      disks: [
        {
          name: 'root',
          image: debian.metadata.id,
          imageFormat: 'qcow2',
          size: 20 * GIB,
          readOnly: false,
        },
        { name: 'seed', size: 374 * 1024, readOnly: true },
      ],
    },
  );
  const ci = vm(
    'ci-runner',
    'stopped',
    { image: debian.metadata.id, vcpus: 4, memory: 4 * GIB },
    {
      disks: [
        {
          name: 'root',
          image: debian.metadata.id,
          imageFormat: 'qcow2',
          size: 40 * GIB,
          readOnly: false,
        },
      ],
      exit: {
        cause: 'guest-shutdown',
        message: 'The guest powered itself off after 2 h 14 min.',
        at: new Date(Date.now() - 4e6).toISOString(),
      },
    },
  );
  debian.status.users = [web, ci].map(({ metadata: { id, name } }) => ({
    kind: 'Vm',
    id,
    name,
    role: 'disk',
  }));
  const broken = vm(
    'router',
    'failed',
    { memory: 256 * MIB },
    {
      reason: 'The host’s port 53 is in use by another program; publish another one.',
      exit: {
        cause: 'start-failed',
        message: 'Port 127.0.0.1:53/udp is taken.',
        at: new Date(Date.now() - 9e5).toISOString(),
      },
    },
  );
  const images = [
    debian,
    image('alpine-3-22', 'alpine/alpine-virt-3.22.iso', {
      format: 'iso',
      fileSize: 66 * MIB,
      virtualSize: 66 * MIB,
      sha256: digest,
    }),
    image(
      'windows-11',
      'windows-11.vhdx',
      {
        format: 'vhdx',
        fileSize: 18.3 * GIB,
        virtualSize: 64 * GIB,
        partitions: 'gpt',
        sha256: digest,
      },
      8000,
    ),
    image(
      'haos',
      'haos_ova-14.qcow2.xz',
      { format: 'qcow2', compression: 'xz', fileSize: 410 * MIB, sha256: digest },
      700,
    ),
    image(
      'broken-copy',
      'fedora-42.qcow2',
      {
        phase: 'damaged',
        reason:
          'The file ends at 1.1 GiB, but its clusters reach to 4.7 GiB: the copy broke off. Copy it again.',
        format: 'qcow2',
        fileSize: 1.1 * GIB,
        virtualSize: 10 * GIB,
      },
      12,
    ),
    image(
      'ubuntu-26',
      'ubuntu-26.04.img',
      { phase: 'checking', format: 'raw', fileSize: 3.2 * GIB, virtualSize: 3.2 * GIB },
      1,
    ),
    image('nixos-minimal', 'nixos-minimal.iso', { phase: 'arriving', fileSize: 300 * MIB }, 0),
  ];
  for (let n = 1; n <= many; n += 1) {
    images.push(
      image(
        `disk-${n}`,
        `bulk/disk-${n}.img`,
        { format: 'raw', fileSize: n * MIB, virtualSize: n * MIB, sha256: digest },
        n,
      ),
    );
  }
  for (const each of images) putImage(each);
  for (const each of [web, ci, broken, vm('db', 'paused', { memory: 2 * GIB })]) putVm(each);
}
