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
        ArrayView<float> y = arguments.Y;
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i < arguments.Count)
        {
            float gate = arguments.Gate[i];
            y[i] = gate / (1f + XMath.Exp(-gate)) * arguments.Up[i];
        }
    }

    private static void RunBackward(BackwardArguments arguments)
    {
        ArrayView<float> dGate = arguments.DGate;
        ArrayView<float> dUp = arguments.DUp;
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i >= arguments.Count)
        {
            return;
        }

        float gate = arguments.Gate[i];
        float dy = arguments.Dy[i];
        float sigmoid = 1f / (1f + XMath.Exp(-gate));
        float ofGate = dy * arguments.Up[i] * sigmoid * (1f + (gate * (1f - sigmoid)));
        float ofUp = dy * gate * sigmoid;
        if (arguments.GateTarget != TargetMode.None)
        {
            dGate[i] = arguments.GateTarget == TargetMode.Add ? dGate[i] + ofGate : ofGate;
        }

        if (arguments.UpTarget != TargetMode.None)
        {
            dUp[i] = arguments.UpTarget == TargetMode.Add ? dUp[i] + ofUp : ofUp;
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
