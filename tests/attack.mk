#: make attack         lines 1 to 24 of the checklist of attacks, over packets, in their short form (LINE=n: only that one)
#: make attack-long    the same in full
$(B)/attack/flood: $(B)/obj/tests/attack/flood.o
	$(call link,$^)

.PHONY: attack attack-long
attack: all $(B)/attack/flood $(if $(filter 24,$(LINE)),$(B)/peer/relay)
	@tests/attack/attack.py $(LINE)
attack-long: all $(B)/attack/flood
	@env ATTACK=long tests/attack/attack.py $(LINE)
