using ILGPU;
using ILGPU.Algorithms;

namespace PureQLora.Kernels;

/// <summary>The gated unit, one element a thread.</summary>
public static class SwiGluKernels
{
    /// <summary>y = gate · sigmoid(gate) · up.</summary>
    public static readonly Kernel<ForwardArguments> Forward = new(RunForward, groupSize: 256);

    /// <summary>dGate and dUp, each where it is wanted.</summary>
    public static readonly Kernel<BackwardArguments> Backward = new(RunBackward, groupSize: 256);

    private static void RunForward(ForwardArguments arguments)
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i < arguments.Count)
        {
            float gate = arguments.Gate[i];
            arguments.Y[i] = gate / (1f + XMath.Exp(-gate)) * arguments.Up[i];
        }
    }

    private static void RunBackward(BackwardArguments arguments)
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i >= arguments.Count)
        {
            return;
        }

        float gate = arguments.Gate[i];
        float dy = arguments.Dy[i];
        float sigmoid = 1f / (1f + XMath.Exp(-gate));
        float dGate = dy * arguments.Up[i] * sigmoid * (1f + (gate * (1f - sigmoid)));
        float dUp = dy * gate * sigmoid;
        if (arguments.GateTarget != TargetMode.None)
        {
            arguments.DGate[i] = arguments.GateTarget == TargetMode.Add ? arguments.DGate[i] + dGate : dGate;
        }

        if (arguments.UpTarget != TargetMode.None)
        {
            arguments.DUp[i] = arguments.UpTarget == TargetMode.Add ? arguments.DUp[i] + dUp : dUp;
        }
    }

    /// <summary>What <see cref="Forward"/> is given.</summary>
    public readonly record struct ForwardArguments(ArrayView<float> Gate, ArrayView<float> Up, int Count, ArrayView<float> Y);

    /// <summary>What <see cref="Backward"/> is given.</summary>
    public readonly record struct BackwardArguments(
        ArrayView<float> Dy,
        ArrayView<float> Gate,
        ArrayView<float> Up,
        int Count,
        int GateTarget,
        ArrayView<float> DGate,
        int UpTarget,
        ArrayView<float> DUp);
}
