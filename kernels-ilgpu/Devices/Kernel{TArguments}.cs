namespace PureQLora.Kernels;

/// <summary>A kernel with the type of its arguments.</summary>
/// <typeparam name="TArguments">A struct of views and numbers.</typeparam>
public sealed class Kernel<TArguments> : Kernel
    where TArguments : struct
{
    /// <summary>Describes a kernel; nothing is compiled before its first launch on a device.</summary>
    /// <param name="body">A static method.</param>
    /// <param name="groupSize">Threads of a group, a multiple of 32.</param>
    /// <param name="minGroups">Groups to keep resident on a multiprocessor, or 0.</param>
    public Kernel(Action<TArguments> body, int groupSize, int minGroups = 0)
        : base((body ?? throw new ArgumentNullException(nameof(body))).Method, groupSize, minGroups)
    {
        if (groupSize is < 32 or > 1024 || groupSize % 32 != 0)
        {
            throw new ArgumentOutOfRangeException(nameof(groupSize), groupSize, "A group has 32 to 1024 threads, whole warps.");
        }

        Body = body;
    }

    /// <summary>What every thread runs.</summary>
    public Action<TArguments> Body { get; }
}
