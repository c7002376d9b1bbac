using System.Globalization;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>Trains a small model from random weights on generated word problems: how the embedded model was made, and can be made again.</summary>
public static class Pretraining
{
    private const int TokenizerTexts = 20_000;
    private const int MaxPositions = 1024;

    /// <summary>Trains and writes a model folder: config.json, model.safetensors (bfloat16), tokenizer.json, tokenizer_config.json.</summary>
    /// <param name="folder">Empty or absent.</param>
    /// <param name="options">Sizes and schedule.</param>
    /// <param name="backend">Computes.</param>
    /// <param name="observer">Told the plan of the memory where the backend is a device, and the progress; or null.</param>
    /// <param name="threads">Threads that tokenise; 0 takes one a processor. The result does not depend on it.</param>
    /// <param name="cancellationToken">Ends the training after the present step; what has been learnt so far is written.</param>
    /// <returns>The last step's metrics.</returns>
    /// <exception cref="UserErrorException">The device has not enough memory: only the tokenizer has been written.</exception>
    public static StepMetrics Run(string folder, PretrainingOptions options, IBackend backend, IRunObserver? observer = null, int threads = 0, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        observer ??= new SilentObserver();
        ITokenizer tokenizer = WriteTokenizer(folder, options);
        WordProblemGenerator generator = new(options.Seed, WordProblemGenerator.KnownFamilies, ProblemSplit.Training);
        SampleEncoder encoder = new(tokenizer) { MaxLength = MaxPositions, CompletionOnly = false };
        TrainingData data = TrainingData.Create(generator.Distinct(options.Problems).Select(Example), encoder, threads);
        LlamaConfig config = Config(options);
        using LlamaModel model = new(config, new RandomWeights(config, options.Seed));
        model.MakeTrainable();
        TrainingOptions training = new() { BatchSize = options.BatchSize, Steps = options.Steps, Seed = options.Seed, Checkpointing = false };
        BatchPlan plan = new(data.Samples);
        MemoryPlan? memory = backend is IDeviceBackend device ? RunMemory.PlanPretraining(device, model, training, plan.LargestPass(training), observer) : null;
        model.MoveTo(backend);
        LearningRateSchedule schedule = new()
        {
            Kind = ScheduleKind.CosineWithMinLr,
            BaseRate = options.LearningRate,
            MinRateRatio = options.MinRateRatio,
            TotalSteps = options.Steps,
            WarmupSteps = Math.Min(options.WarmupSteps, options.Steps),
        };
        using Trainer trainer = new(model, backend, plan, training, schedule, new AdamWOptions { Beta2 = 0.98, WeightDecay = 0.01 });
        trainer.Reserve(memory?.Activations ?? 0);
        StepMetrics last = observer.Track("pretraining", options.Steps, progress => Steps(trainer, progress, cancellationToken));
        Save(folder, model);
        return last;
    }

    private static StepMetrics Steps(Trainer trainer, RunProgress progress, CancellationToken cancellationToken)
    {
        StepMetrics step = default;
        while (trainer.StepsDone < trainer.TotalSteps && !cancellationToken.IsCancellationRequested)
        {
            step = trainer.Step();
            progress(step.Step, string.Create(CultureInfo.InvariantCulture, $"loss {step.Loss:F3}  {step.Tokens / Math.Max(step.Seconds, 1e-9):F0} tokens/s"));
        }

        return step;
    }

    private static ITokenizer WriteTokenizer(string folder, PretrainingOptions options)
    {
        Directory.CreateDirectory(folder);
        AtomicFile.WriteText(Path.Combine(folder, "tokenizer.json"), BytePairTrainer.Train(TokenizerCorpus(options.Seed), options.VocabularySize));
        AtomicFile.WriteText(
            Path.Combine(folder, "tokenizer_config.json"),
            $$"""{"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "{{BytePairTrainer.BeginToken}}", "eos_token": "{{BytePairTrainer.EndToken}}"}""" + "\n");
        return TokenizerFile.Load(folder);
    }

    /// <summary>A problem as the trainer takes it, in the format that evaluation asks in.</summary>
    private static TrainingExample Example(WordProblem problem, int index) => new PromptCompletionExample(
        $"problem {index}", PromptTemplate.Gsm8k.Render(problem.Question), PromptTemplate.Gsm8k.TargetDelimiter + problem.Answer);

    /// <summary>Texts of all families: the new one has words that the base must be able to spell.</summary>
    private static IEnumerable<string> TokenizerCorpus(ulong seed)
    {
        WordProblemGenerator generator = new(seed, Enum.GetValues<ProblemFamily>(), ProblemSplit.Training);
        for (int i = 0; i < TokenizerTexts; i++)
        {
            WordProblem problem = generator.At(i);
            yield return PromptTemplate.Gsm8k.Render(problem.Question) + PromptTemplate.Gsm8k.TargetDelimiter + problem.Answer;
        }
    }

    private static LlamaConfig Config(PretrainingOptions options) => new()
    {
        Family = ModelFamily.Llama,
        VocabularySize = options.VocabularySize,
        HiddenSize = options.HiddenSize,
        IntermediateSize = options.IntermediateSize,
        Layers = options.Layers,
        Heads = options.Heads,
        KeyValueHeads = options.KeyValueHeads,
        HeadDim = options.HiddenSize / options.Heads,
        RmsNormEpsilon = 1e-5,
        MaxPositions = MaxPositions,
        TieWordEmbeddings = true,
        SlidingWindows = new int?[options.Layers],
        BosId = 0,
        EosIds = [1],
        StoredType = "bfloat16",
    };

    private static void Save(string folder, LlamaModel model)
    {
        SafetensorsWriter writer = new();
        foreach (NamedParameter parameter in model.AllTensors())
        {
            writer.Add(parameter.Name, parameter.Value, SafetensorsType.BF16);
        }

        HuggingFaceCheckpoint.Write(folder, model.Config, writer, tokenizerFrom: null);
    }
}
