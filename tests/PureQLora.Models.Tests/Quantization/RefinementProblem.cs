using FsCheck;
using FsCheck.Fluent;
using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>A layer with the inputs that it gets, X, and those that the unquantised model would give it, X̃.</summary>
internal sealed record RefinementProblem(int Rows, int Columns, int Seed, bool HasDeadColumns, GptqOptions Options)
{
    private static readonly int[] BitWidths = [2, 3, 4, 8];

    public int Tokens => (2 * Columns) + 7;

    public float[] Weights { get; } = RandomWeights(Rows * Columns, Seed);

    /// <summary>X. [tokens, columns]</summary>
    public float[] Inputs => field ??= RandomInputs(0.8f, Seed + 1);

    /// <summary>X̃. [tokens, columns]</summary>
    public float[] ExactInputs => field ??= [.. Inputs.Zip(RandomInputs(0.3f, Seed + 2), (x, noise) => x + (0.2f * noise))];

    /// <summary>H = 2/n · XᵀX. [columns, columns]</summary>
    public double[] Hessian
    {
        get
        {
            var accumulator = new HessianAccumulator(Columns, "layer");
            accumulator.Add(Inputs, Tokens);
            return accumulator.Complete();
        }
    }

    /// <summary>Odd sizes, short last groups, one group a row, every width, both kinds of grids, every order, dead columns.</summary>
    public static void Check(int count, Action<RefinementProblem> property)
    {
        Gen<RefinementProblem> problems =
            from rows in Gen.Choose(1, 9)
            from columns in Gen.Choose(1, 70)
            from seed in Gen.Choose(0, 1_000_000)
            from bits in Gen.Elements(BitWidths)
            from groupSize in Gen.Elements(-1, 1, 5, 8, 16, 100)
            from flags in Gen.Choose(0, 63)
            select new RefinementProblem(rows, columns, seed, (flags & 32) != 0, new GptqOptions
            {
                Bits = bits,
                GroupSize = groupSize,
                Symmetric = (flags & 1) != 0,
                ActOrder = (flags & 2) != 0,
                StaticGroups = (flags & 4) != 0,
                GridVariant = (flags & 8) != 0 ? GridVariant.BlockStart : GridVariant.Current,
                Float16Scales = (flags & 16) != 0,
                Refinements = Refinements.Search,
            });
        Prop.ForAll(problems.ToArbitrary(), property).Check(Config.QuickThrowOnFailure.WithMaxTest(count).WithReplay(1, 1));
    }

    public DeviationAccumulator Deviation(CpuBackend backend)
    {
        DeviationAccumulator deviation = new(Columns, backend);
        using ComputeScope scope = new(backend);
        Shape shape = new(1, Tokens, Columns);
        deviation.Add(scope, scope.From(ExactInputs, shape), scope.From(Inputs, shape));
        return deviation;
    }

    /// <summary>tr((T − Q)(H + ridge·I)(T − Q)ᵀ), dead columns of T taken as zero, the slow way.</summary>
    public double Objective(ReadOnlySpan<float> target, QuantizationResult result, double ridge)
    {
        double[] hessian = Hessian;
        double objective = 0;
        for (int row = 0; row < Rows; row++)
        {
            var error = new double[Columns];
            for (int column = 0; column < Columns; column++)
            {
                int group = (row * result.Groups) + result.GroupOf(column);
                double weight = hessian[(column * Columns) + column] == 0 ? 0 : target[(row * Columns) + column];
                error[column] = weight - ((double)result.Scales[group] * (result.Codes[(row * Columns) + column] - result.Zeros[group]));
            }

            for (int i = 0; i < Columns; i++)
            {
                objective += ridge * error[i] * error[i];
                for (int j = 0; j < Columns; j++)
                {
                    objective += error[i] * hessian[(i * Columns) + j] * error[j];
                }
            }
        }

        return objective;
    }

    private static float[] RandomWeights(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => 0.1f * (random.NextSingle() + random.NextSingle() - 1))];
    }

    /// <summary>Neighbours resemble each other, as those of a trained layer do; of dead ones every ninth.</summary>
    private float[] RandomInputs(float likeness, int seed)
    {
        var random = new Random(seed);
        float[] inputs = new float[Tokens * Columns];
        float before = 0;
        for (int i = 0; i < inputs.Length; i++)
        {
            before = (likeness * before) + random.NextSingle() - 0.5f;
            inputs[i] = HasDeadColumns && i % Columns % 9 == 4 ? 0 : before;
        }

        return inputs;
    }
}
