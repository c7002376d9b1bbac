using System.Runtime.InteropServices;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>
    /// Runs work of the host, such as a factorisation, on the threads that also compute the operations, so that one setting limits both.
    /// It allocates, so it is nothing for a training step.
    /// </summary>
    /// <param name="count">Items 0 … count − 1.</param>
    /// <param name="grain">Items of one call at most; it must follow from the problem alone where results depend on it.</param>
    /// <param name="body">Computes items start … end − 1; called on several threads at once. The first exception is thrown again here.</param>
    public void For(long count, long grain, Action<long, long> body)
    {
        ArgumentNullException.ThrowIfNull(body);
        GCHandle handle = GCHandle.Alloc(body);
        try
        {
            DelegateBody range = new(GCHandle.ToIntPtr(handle));
            _pool.For(count, grain, ref range);
        }
        finally
        {
            handle.Free();
        }
    }

    /// <summary>The pool takes bare structs; the delegate travels as a handle.</summary>
    private readonly struct DelegateBody(nint handle) : IParallelRange
    {
        private readonly nint _handle = handle;

        public void Run(long start, long end) => ((Action<long, long>)GCHandle.FromIntPtr(_handle).Target!)(start, end);
    }
}
