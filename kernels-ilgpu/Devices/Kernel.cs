using System.Reflection;

namespace PureQLora.Kernels;

/// <summary>A kernel and how it is launched: a static method of one struct of arguments, run by every thread of every group.</summary>
public abstract class Kernel
{
    private protected Kernel(MethodInfo method, int groupSize, int minGroups) => (Method, GroupSize, MinGroups) = (method, groupSize, minGroups);

    /// <summary>What every thread runs.</summary>
    public MethodInfo Method { get; }

    /// <summary>Threads of a group, a multiple of 32.</summary>
    public int GroupSize { get; }

    /// <summary>Groups that should be resident on a multiprocessor at once; bounds the registers of a thread. 0 leaves it to the compiler.</summary>
    public int MinGroups { get; }

    /// <summary>Name in messages and reports.</summary>
    public string Name => $"{Method.DeclaringType!.Name}.{Method.Name}";

    /// <inheritdoc/>
    public override string ToString() => Name;
}
