using ILGPU;

namespace PureQLora.Kernels;

/// <summary>Rotary position embedding, one pair of elements a thread.</summary>
public static class RotaryEmbeddingKernels
{
    /// <summary>Turns by the token's angle times the direction: 1 forward, −1 backward.</summary>
    public static readonly Kernel<TurnArguments> Turn = new(RunTurn, groupSize: 256);

    private static void RunTurn(TurnArguments arguments)
    {
        ArrayView<float> y = arguments.Y;
        int pair = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (pair >= arguments.Pairs)
        {
            return;
        }

        int head = pair / arguments.Half;
        int i = pair - (head * arguments.Half);
        int angle = (arguments.Positions[head / arguments.Heads] * arguments.Half) + i;
        float cosine = arguments.Cos[angle];
        float sine = arguments.Sin[angle] * arguments.Direction;
        int at = (head * 2 * arguments.Half) + i;
        float first = arguments.X[at];
        float second = arguments.X[at + arguments.Half];
        float low = (first * cosine) - (second * sine);
        float high = (second * cosine) + (first * sine);
        if (arguments.Target == TargetMode.Add)
        {
            low += y[at];
            high += y[at + arguments.Half];
        }

        y[at] = low;
        y[at + arguments.Half] = high;
    }

    /// <summary>What <see cref="Turn"/> is given: X and Y are [tokens, Heads, 2 · Half], the table [positions, Half].</summary>
    public readonly record struct TurnArguments(
        ArrayView<float> X,
        ArrayView<int> Positions,
        ArrayView<float> Cos,
        ArrayView<float> Sin,
        int Heads,
        int Half,
        int Pairs,
        float Direction,
        int Target,
        ArrayView<float> Y);
}
