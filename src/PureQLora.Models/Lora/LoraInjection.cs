using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Puts adapters on a model's linear layers, and takes them off again. The base stays frozen.</summary>
public static class LoraInjection
{
    /// <summary>Largest rank that is not certainly a mistake.</summary>
    public const int MaxRank = 4096;

    /// <summary>Adds new adapters, ready to train: A uniform (Kaiming), B zero, so that the model answers as before.</summary>
    /// <param name="model">Without adapters.</param>
    /// <param name="config">Ranks, scales, targets.</param>
    /// <param name="seed">Chooses A.</param>
    /// <returns>Number of adapted layers.</returns>
    /// <exception cref="UserErrorException">A target does not exist, or a setting is out of range.</exception>
    public static int Inject(LlamaModel model, LoraConfig config, ulong seed)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(config);
        LinearLayer[] targets = Targets(model, config);
        RandomState random = new(seed);
        foreach (LinearLayer layer in targets)
        {
            if (config.UseQaLora)
            {
                RequireGroups(layer, config.QaLoraGroupSize);
            }

            int rank = config.RankOf(layer.Name);
            if (rank is < 1 or > MaxRank)
            {
                throw new UserErrorException($"lora.rank is {rank} for {layer.Name}, allowed 1–{MaxRank}. Try 8, 16 or 64; memory grows linearly with rank.");
            }

            LoraAdapter adapter = LoraAdapter.Initialize(
                layer.Weight.OutDim, layer.Weight.InDim, rank, (float)config.ScaleOf(layer.Name), (float)config.Dropout, random, config.GroupSize);
            adapter.A.AsParameter();
            adapter.B.AsParameter();
            layer.Adapter = adapter;
        }

        return targets.Length;
    }

    /// <summary>The settings with the group size of the base, where they ask for QA-LoRA; others stay as they are.</summary>
    /// <param name="model">Without adapters.</param>
    /// <param name="config">Ranks, scales, targets.</param>
    /// <exception cref="UserErrorException">A target is not quantised in groups of neighbouring columns, or not in the groups of another target.</exception>
    public static LoraConfig ForBase(LlamaModel model, LoraConfig config)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(config);
        if (!config.UseQaLora)
        {
            return config;
        }

        LinearLayer[] targets = Targets(model, config);
        int groupSize = targets[0].Weight.Quantized?.GroupSize ?? 0;
        foreach (LinearLayer layer in targets)
        {
            RequireGroups(layer, groupSize);
        }

        return config with { QaLoraGroupSize = groupSize };
    }

    /// <summary>Loads an adapter folder onto a model.</summary>
    /// <param name="model">Without adapters.</param>
    /// <param name="folder">As PEFT writes it.</param>
    /// <param name="trainable">Its matrices become parameters, to go on training.</param>
    /// <param name="dropout">Replaces the stored dropout.</param>
    /// <returns>Its settings.</returns>
    /// <exception cref="UserErrorException">The adapter is damaged or belongs to another model.</exception>
    public static LoraConfig Load(LlamaModel model, string folder, bool trainable = false, double? dropout = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        PeftAdapter adapter = PeftCheckpoint.Read(folder, LlamaTensorNames.LinearLayers(model.Config));
        LoraConfig config = adapter.Config with { Dropout = dropout ?? adapter.Config.Dropout };
        HashSet<string> modules = [.. adapter.Modules];
        foreach (LinearLayer layer in model.Linears.Where(layer => modules.Contains(layer.Name)))
        {
            RequireFree(layer);
            layer.Adapter = new LoraAdapter(
                adapter.Tensors[PeftAdapter.NameOfA(layer.Name)], adapter.Tensors[PeftAdapter.NameOfB(layer.Name)], (float)config.ScaleOf(layer.Name), (float)config.Dropout, config.GroupSize);
            if (trainable)
            {
                layer.Adapter.A.AsParameter();
                layer.Adapter.B.AsParameter();
            }
        }

        return config;
    }

    /// <summary>The adapters of a model as a folder can hold them.</summary>
    public static PeftAdapter Extract(LlamaModel model, LoraConfig config)
    {
        ArgumentNullException.ThrowIfNull(model);
        Dictionary<string, Tensor> tensors = [];
        List<string> modules = [];
        foreach (LinearLayer layer in model.Linears)
        {
            if (layer.Adapter is { } adapter)
            {
                modules.Add(layer.Name);
                tensors[PeftAdapter.NameOfA(layer.Name)] = adapter.A;
                tensors[PeftAdapter.NameOfB(layer.Name)] = adapter.B;
            }
        }

        return new PeftAdapter(config, modules, tensors);
    }

    /// <summary>Takes all adapters off; merged ones must be unmerged first.</summary>
    public static void Remove(LlamaModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        foreach (LinearLayer layer in model.Linears)
        {
            if (layer.IsMerged)
            {
                throw new InvalidOperationException($"{layer.Name} is merged; unmerge it before its adapter is removed.");
            }

            layer.Adapter = null;
        }
    }

    private static LinearLayer[] Targets(LlamaModel model, LoraConfig config)
    {
        LinearLayer[] all = [.. model.Linears];
        LinearLayer[] targets = [.. all.Where(layer => config.Targets(layer.Name))];
        if (config.TargetPattern is null && config.TargetModules.FirstOrDefault(target => !all.Any(layer => LoraConfig.Names(target, layer.Name))) is { } unknown)
        {
            throw new UserErrorException(
                $"lora.targets names {unknown}, which the model does not have; choose from {string.Join(", ", all.Select(layer => layer.ShortName).Distinct())}, or all-linear.");
        }

        if (targets.Length == 0)
        {
            throw new UserErrorException("lora.targets matches no layer of the model; q_proj, k_proj, v_proj, o_proj are usual.");
        }

        foreach (LinearLayer layer in targets)
        {
            RequireFree(layer);
        }

        return targets;
    }

    private static void RequireGroups(LinearLayer layer, int groupSize)
    {
        const string Advice = "QA-LoRA moves the zero points of groups of neighbouring columns";
        string? fault = layer.Weight.Quantized switch
        {
            null => $"is {layer.Weight}, not quantised; quantise the base with GPTQ, or set lora.useQalora to false",
            { CodeBook: { } book } => $"is {book.Name}, which has no zero points; quantise the base with GPTQ, or set lora.useQalora to false",
            { GroupIndex.IsEmpty: false } => "has scattered groups (act-order); quantise the base without it or with static groups",
            { Groups: 1 } matrix => $"has one group a row of {matrix.InDim}; quantise the base in groups, of 32, 64 or 128",
            { } matrix when matrix.InDim % matrix.GroupSize != 0 => $"has {matrix.InDim} inputs in groups of {matrix.GroupSize}, whose last is shorter; quantise the base in groups that divide them",
            { } matrix when matrix.GroupSize != groupSize => $"has groups of {matrix.GroupSize}, the adapter of {groupSize}; quantise all adapted layers in the same groups",
            _ => null,
        };
        if (fault is not null)
        {
            throw new UserErrorException($"{Advice}, but {layer.Name} {fault}.");
        }
    }

    private static void RequireFree(LinearLayer layer)
    {
        if (layer.Adapter is not null)
        {
            throw new InvalidOperationException($"{layer.Name} has an adapter already; remove it first.");
        }
    }
}
