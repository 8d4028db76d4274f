using System.Reflection;
using System.Reflection.Emit;

namespace Chat.Tests.Fixtures;

/// <summary>
/// Finds what a type refers to: in its bases, attributes, fields, signatures and method bodies, including nested and
/// compiler-generated types. Read from the assembly, so that neither aliases nor <c>var</c> hide anything.
/// </summary>
internal static class References
{
    private const BindingFlags Declared =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly;

    private static readonly Dictionary<short, OpCode> OpCodesByValue = typeof(OpCodes)
        .GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(field => (OpCode)field.GetValue(null)!)
        .ToDictionary(code => code.Value);

    /// <summary>Returns all types and members that a type refers to, except its own.</summary>
    public static HashSet<MemberInfo> Of(Type type)
    {
        var found = new HashSet<MemberInfo>();
        Collect(type, found);
        found.RemoveWhere(member => Outermost(member as Type ?? member.DeclaringType!) == type);
        return found;
    }

    /// <summary>Returns the types only, including the declaring types of members.</summary>
    public static IReadOnlyList<Type> TypesOf(Type type) =>
        [.. Of(type).Select(member => Outermost(member as Type ?? member.DeclaringType!)).Distinct()];

    public static Type Outermost(Type type) => type.DeclaringType is { } outer ? Outermost(outer) : type;

    private static void Collect(Type type, HashSet<MemberInfo> found)
    {
        Add(type.BaseType, found);
        foreach (var contract in type.GetInterfaces())
            Add(contract, found);
        Attributes(type, found);
        foreach (var field in type.GetFields(Declared))
        {
            Add(field.FieldType, found);
            Attributes(field, found);
        }

        foreach (var property in type.GetProperties(Declared))
            Attributes(property, found);
        foreach (var method in type.GetMethods(Declared).Concat<MethodBase>(type.GetConstructors(Declared)))
        {
            Attributes(method, found);
            Add((method as MethodInfo)?.ReturnType, found);
            foreach (var parameter in method.GetParameters())
                Add(parameter.ParameterType, found);
            Body(method, found);
        }

        foreach (var nested in type.GetNestedTypes(Declared))
            Collect(nested, found);
    }

    private static void Attributes(MemberInfo member, HashSet<MemberInfo> found)
    {
        foreach (var attribute in member.CustomAttributes)
        {
            Add(attribute.AttributeType, found);
            foreach (var argument in attribute.ConstructorArguments)
                Add(argument.Value as Type, found);
        }
    }

    private static void Body(MethodBase method, HashSet<MemberInfo> found)
    {
        if (method.GetMethodBody() is not { } body)
            return;
        foreach (var local in body.LocalVariables)
            Add(local.LocalType, found);
        foreach (var clause in body.ExceptionHandlingClauses.Where(clause => clause.Flags == ExceptionHandlingClauseOptions.Clause))
            Add(clause.CatchType, found);
        var typeArguments = method.DeclaringType!.GetGenericArguments();
        var methodArguments = method.IsGenericMethod ? method.GetGenericArguments() : [];
        foreach (var token in Tokens(body.GetILAsByteArray()!))
        {
            var member = method.Module.ResolveMember(token, typeArguments, methodArguments)!;
            Add(member as Type ?? member.DeclaringType, found);
            if (member is not Type)
                found.Add(member);
            if (member is MethodInfo { IsGenericMethod: true } generic)
            {
                foreach (var argument in generic.GetGenericArguments())
                    Add(argument, found);
            }
        }
    }

    private static IEnumerable<int> Tokens(byte[] code)
    {
        for (var at = 0; at < code.Length;)
        {
            short value = code[at++];
            if (value == 0xFE)
                value = (short)(0xFE00 | code[at++]);
            var operand = OpCodesByValue[value].OperandType;
            if (operand is OperandType.InlineField or OperandType.InlineMethod or OperandType.InlineTok or OperandType.InlineType)
                yield return BitConverter.ToInt32(code, at);
            at += operand switch
            {
                OperandType.InlineNone => 0,
                OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
                OperandType.InlineVar => 2,
                OperandType.InlineI8 or OperandType.InlineR => 8,
                OperandType.InlineSwitch => 4 + (4 * BitConverter.ToInt32(code, at)),
                _ => 4,
            };
        }
    }

    private static void Add(Type? type, HashSet<MemberInfo> found)
    {
        if (type is null || type.IsGenericParameter)
            return;
        if (type.HasElementType)
        {
            Add(type.GetElementType(), found);
            return;
        }

        foreach (var argument in type.GetGenericArguments())
            Add(argument, found);
        found.Add(type.IsGenericType ? type.GetGenericTypeDefinition() : type);
    }
}
