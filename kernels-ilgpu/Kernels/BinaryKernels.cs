using ILGPU;
using PureQLora.Core;

namespace PureQLora.Kernels;

/// <summary>Arithmetic on two arrays, each repeated along the axes where its stride is 0.</summary>
public static class BinaryKernels
{
    /// <summary>y = f(a, b), one element of y a thread.</summary>
    public static readonly Kernel<ForwardArguments> Forward = new(RunForward, groupSize: 256);

    /// <summary>The gradient of one operand: a thread adds up a run of what one of its elements was repeated for.</summary>
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
        int thread = (Grid.IdxX * Group.DimX) + Group.IdxX;
        LongSums sums = arguments.Sums;
        if (thread >= sums.Runs * sums.Count)
        {
            return;
        }

        // Neighbours read neighbours in dy: other terms of one sum where the operand is repeated along the innermost axis, else other sums.
        Extents repeated = arguments.Repeated;
        int run = repeated.W > 1 ? thread % sums.Runs : thread / sums.Count;
        int element = repeated.W > 1 ? thread / sums.Runs : thread % sums.Count;
        Extents first = arguments.Own.IndexOf(element);
        Extents shape = arguments.Shape;
        double sum = 0;
        for (int left = arguments.Terms - run; left > 0; left -= sums.Runs)
        {
            Extents offset = repeated.IndexOf(arguments.Terms - left);
            Extents index = new(first.X + offset.X, first.Y + offset.Y, first.Z + offset.Z, first.W + offset.W);
            int at = (((((index.X * shape.Y) + index.Y) * shape.Z) + index.Z) * shape.W) + index.W;
            sum += arguments.Dy[at] * Slope(arguments, arguments.StridesA.Dot(index), arguments.StridesB.Dot(index));
        }

        sums.Store(run, element, sum);
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
    /// <param name="Terms">How often it is repeated in all.</param>
    /// <param name="Sums">Its gradient.</param>
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
        int Terms,
        LongSums Sums);
}
