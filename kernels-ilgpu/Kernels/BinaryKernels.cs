using ILGPU;
using PureQLora.Core;

namespace PureQLora.Kernels;

/// <summary>Arithmetic on two arrays, each repeated along the axes where its stride is 0.</summary>
public static class BinaryKernels
{
    /// <summary>y = f(a, b), one element of y a thread.</summary>
    public static readonly Kernel<ForwardArguments> Forward = new(RunForward, groupSize: 256);

    /// <summary>The gradient of one operand, one of its elements a thread, which adds up what it was repeated for, in order.</summary>
    public static readonly Kernel<BackwardArguments> Backward = new(RunBackward, groupSize: 64);

    private static void RunForward(ForwardArguments arguments)
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i < arguments.Count)
        {
            Extents index = arguments.Shape.IndexOf(i);
            float a = arguments.A[arguments.StridesA.Dot(index)];
            float b = arguments.B[arguments.StridesB.Dot(index)];
            float value = a / b;
            if (arguments.Kind == (int)BinaryKind.Add)
            {
                value = a + b;
            }
            else if (arguments.Kind == (int)BinaryKind.Subtract)
            {
                value = a - b;
            }
            else if (arguments.Kind == (int)BinaryKind.Multiply)
            {
                value = a * b;
            }

            ArrayView<float> y = arguments.Y;
            y[i] = value;
        }
    }

    private static void RunBackward(BackwardArguments arguments)
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i >= arguments.Count)
        {
            return;
        }

        Extents first = arguments.Own.IndexOf(i);
        Extents repeated = arguments.Repeated;
        Extents shape = arguments.Shape;
        float sum = 0f;
        for (int x = 0; x < repeated.X; x++)
        {
            for (int y = 0; y < repeated.Y; y++)
            {
                for (int z = 0; z < repeated.Z; z++)
                {
                    for (int w = 0; w < repeated.W; w++)
                    {
                        Extents index = new(first.X + x, first.Y + y, first.Z + z, first.W + w);
                        int at = (((((index.X * shape.Y) + index.Y) * shape.Z) + index.Z) * shape.W) + index.W;
                        sum += arguments.Dy[at] * Slope(arguments, arguments.StridesA.Dot(index), arguments.StridesB.Dot(index));
                    }
                }
            }
        }

        ArrayView<float> gradient = arguments.Gradient;
        gradient[i] += sum;
    }

    private static float Slope(BackwardArguments arguments, int placeA, int placeB)
    {
        bool ofA = arguments.OfSecond == 0;
        float slope = 1f;
        if (arguments.Kind == (int)BinaryKind.Subtract)
        {
            slope = ofA ? 1f : -1f;
        }
        else if (arguments.Kind == (int)BinaryKind.Multiply)
        {
            slope = ofA ? arguments.B[placeB] : arguments.A[placeA];
        }
        else if (arguments.Kind == (int)BinaryKind.Divide)
        {
            float b = arguments.B[placeB];
            slope = ofA ? 1f / b : -arguments.A[placeA] / (b * b);
        }

        return slope;
    }

    /// <summary>What <see cref="Forward"/> is given; Shape is that of y, Kind a <see cref="BinaryKind"/>.</summary>
    public readonly record struct ForwardArguments(
        int Kind, Extents Shape, int Count, ArrayView<float> A, Extents StridesA, ArrayView<float> B, Extents StridesB, ArrayView<float> Y);

    /// <summary>What <see cref="Backward"/> is given.</summary>
    /// <param name="Kind">A <see cref="BinaryKind"/>.</param>
    /// <param name="Shape">Of y.</param>
    /// <param name="Dy">∂loss/∂y.</param>
    /// <param name="A">First operand.</param>
    /// <param name="StridesA">0 where it is repeated.</param>
    /// <param name="B">Second operand.</param>
    /// <param name="StridesB">0 where it is repeated.</param>
    /// <param name="OfSecond">0 for the gradient of a, else of b.</param>
    /// <param name="Own">Extents of the operand.</param>
    /// <param name="Repeated">How often it is repeated along each axis, 1 for not.</param>
    /// <param name="Count">Elements of the operand.</param>
    /// <param name="Gradient">Added to.</param>
    public readonly record struct BackwardArguments(
        int Kind,
        Extents Shape,
        ArrayView<float> Dy,
        ArrayView<float> A,
        Extents StridesA,
        ArrayView<float> B,
        Extents StridesB,
        int OfSecond,
        Extents Own,
        Extents Repeated,
        int Count,
        ArrayView<float> Gradient);
}
