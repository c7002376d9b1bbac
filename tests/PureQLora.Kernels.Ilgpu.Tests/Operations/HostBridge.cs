using System.Reflection;
using PureQLora.Core;

namespace PureQLora.Kernels.Tests;

/// <summary>
/// A backend whose tensors are in host memory and whose operations run on a device: it copies what an operation is given, and copies back
/// what has changed. So whatever was written for the CPU's tensors, references and all, holds for a device too.
/// </summary>
public class HostBridge : DispatchProxy
{
    private IlgpuBackend _device = null!;
    private CpuBackend _host = null!;

    /// <summary>A bridge; the caller disposes both ends.</summary>
    public static IBackend Create(IlgpuBackend device, CpuBackend host)
    {
        IBackend backend = Create<IBackend, HostBridge>();
        (((HostBridge)(object)backend)._device, ((HostBridge)(object)backend)._host) = (device, host);
        return backend;
    }

    /// <inheritdoc/>
    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
    {
        ArgumentNullException.ThrowIfNull(targetMethod);
        if (targetMethod.Name is nameof(IBackend.Allocate) or nameof(IBackend.Reaches) or nameof(IBackend.Move))
        {
            return Call(targetMethod, _host, args);
        }

        Crossing crossing = new(_device);
        try
        {
            object? result = Call(targetMethod, _device, args?.Select(crossing.Over).ToArray());
            crossing.Back();
            return result;
        }
        finally
        {
            crossing.Dispose();
        }
    }

    private static object? Call(MethodInfo method, IBackend backend, object?[]? arguments) =>
        method.Invoke(backend, BindingFlags.DoNotWrapExceptions, null, arguments, null);

    /// <summary>The copies of one call. Views on the same bytes share one.</summary>
    private sealed class Crossing(IlgpuBackend device) : IDisposable
    {
        private readonly Dictionary<(Storage Storage, long Offset, long Length), (Storage Copy, byte[] Bytes)> _copies = [];

        public object? Over(object? argument) => argument switch
        {
            Tensor tensor => Copy(tensor),
            WeightMatrix { Dense: { } dense } => new WeightMatrix(Copy(dense)),
            GradientTarget { Tensor: { } tensor } target => target with { Tensor = Copy(tensor) },
            AttentionMask { Segments: { } segments } mask => mask with { Segments = Copy(segments) },
            _ => argument,
        };

        public void Back()
        {
            foreach (((Storage storage, long offset, long length), (Storage copy, byte[] before)) in _copies)
            {
                byte[] after = new byte[length];
                copy.Read(0, after);
                if (!after.AsSpan().SequenceEqual(before))
                {
                    storage.Write(offset, after);
                }
            }
        }

        public void Dispose()
        {
            foreach ((Storage copy, _) in _copies.Values)
            {
                copy.Dispose();
            }
        }

        private Tensor Copy(Tensor tensor)
        {
            (Storage, long, long) key = (tensor.Storage, tensor.ByteOffset, tensor.ByteLength);
            if (!_copies.TryGetValue(key, out (Storage Copy, byte[] Bytes) made))
            {
                made = (device.Allocate(tensor.ByteLength), new byte[tensor.ByteLength]);
                tensor.Storage.Read(tensor.ByteOffset, made.Bytes);
                made.Copy.Write(0, made.Bytes);
                _copies.Add(key, made);
            }

            return new Tensor(tensor.Shape, tensor.DataType, made.Copy);
        }
    }
}
